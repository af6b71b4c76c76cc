import { parseDuration } from "@tulle/base";
import { runSidecar, type LogSink, type SidecarControlPlane } from "@tulle/proxy";

import type { Companion, CompanionOptions, Joined } from "./companion.js";
import { allowFullSpeed } from "./v8-flags.js";

/** Starts a sidecar; resolves when it can serve. */
export async function startSidecarCompanion(options: CompanionOptions): Promise<Companion> {
  const { workload, instanceId, appPort, directory, joined, clock, logger, inheritance } = options;
  const { service, namespace, serviceAccount = service, version, servicePort, protocol } = workload;
  const proxyProtocol =
    workload.appProxyProtocol === undefined ? {} : { proxyProtocol: workload.appProxyProtocol };
  const inbound =
    appPort === undefined || workload.gateway !== undefined
      ? []
      : [
          {
            service,
            namespace,
            servicePort: servicePort ?? appPort,
            appPort,
            ...(protocol === undefined ? {} : { protocol }),
            ...proxyProtocol,
          },
        ];
  const sidecar = await runSidecar({
    service,
    namespace,
    serviceAccount,
    instanceId,
    labels: { ...Object.fromEntries(workload.label ?? []), ...(version === undefined ? {} : { version }) },
    inbound,
    upstreams: workload.upstream ?? [],
    ports: {
      ...(workload.outboundPort !== undefined && { outbound: workload.outboundPort }),
      ...(workload.inboundPort !== undefined && { inbound: workload.inboundPort }),
      admin: workload.adminPort,
      metrics: workload.metricsPort,
      readiness: workload.readinessPort,
      ...(workload.dnsPort === undefined ? {} : { dns: workload.dnsPort }),
    },
    intercept: workload.intercept ?? false,
    ...(workload.gateway === undefined ? {} : { gateway: workload.gateway }),
    ...placeOf(workload),
    ...(workload.proxyProtocolFrom === undefined ? {} : { proxyProtocolFrom: workload.proxyProtocolFrom }),
    failOpen: workload.failOpen ?? false,
    ...(workload.readyIncludesApp === true && appPort !== undefined
      ? {
          readyIncludesApp: {
            port: appPort,
            ...(workload.healthPath === undefined ? {} : { path: workload.healthPath }),
          },
        }
      : {}),
    controlPlane: joined instanceof Promise ? joined.then(controlPlaneOf) : controlPlaneOf(joined),
    stateDirectory: directory,
    workers: workload.workers,
    onBusy: allowFullSpeed,
    drainMs: parseDuration(workload.drain) ?? 5000,
    limits: workload.limit,
    recordPercent: workload.recordPercent,
    proxyStatus: workload.proxyStatus,
    accessLog: logSink(workload.accessLog),
    healthLog: logSink(workload.healthLog),
    logger,
    clock,
    ...(inheritance && { inherited: inheritance.sockets, epoch: inheritance.epoch }),
  });
  if (workload.workers > 1) allowFullSpeed();
  try {
    await sidecar.ready;
  } catch (thrown) {
    await sidecar.close();
    throw thrown;
  }
  const { identity, addresses, quitRequested, failed } = sidecar;
  const { inbound: reachable } = addresses;
  return {
    identity,
    addresses,
    meshAddress: reachable && { host: workload.address ?? reachable.host, port: reachable.port },
    quitRequested,
    failed,
    environment: () => sidecar.environment(),
    handover: () => sidecar.handover(),
    drain: () => sidecar.drain(),
    close: () => sidecar.close(),
  };
}

function controlPlaneOf({ controlPlane, joinToken }: Joined): SidecarControlPlane {
  return { ...controlPlane, joinToken };
}

/** A gateway is bound to its address, and nobody of the mesh calls it there. */
function placeOf({ address, gateway }: CompanionOptions["workload"]) {
  if (address === undefined) return {};
  return gateway === undefined ? { meshAddress: address } : { inboundAddress: address };
}

function logSink(text: string): LogSink {
  return text === "stdout" || text === "off" ? text : { file: text };
}
