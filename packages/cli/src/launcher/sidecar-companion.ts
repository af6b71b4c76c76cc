import { parseDuration } from "@tulle/base";
import { runSidecar, type AccessLogSink } from "@tulle/proxy";

import type { Companion, CompanionOptions } from "./companion.js";

/** Starts a sidecar; resolves when it can serve. */
export async function startSidecarCompanion(options: CompanionOptions): Promise<Companion> {
  const { workload, instanceId, appPort, directory, controlPlane, joinToken, clock, logger } = options;
  const { service, namespace, serviceAccount = service, version, servicePort, protocol } = workload;
  const proxyProtocol =
    workload.appProxyProtocol === undefined ? {} : { proxyProtocol: workload.appProxyProtocol };
  const inbound =
    appPort === undefined
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
      outbound: workload.outboundPort,
      inbound: workload.inboundPort,
      admin: workload.adminPort,
      metrics: workload.metricsPort,
      readiness: workload.readinessPort,
      ...(workload.dnsPort === undefined ? {} : { dns: workload.dnsPort }),
    },
    intercept: workload.intercept ?? false,
    ...(workload.address === undefined ? {} : { meshAddress: workload.address }),
    ...(workload.proxyProtocolFrom === undefined ? {} : { proxyProtocolFrom: workload.proxyProtocolFrom }),
    controlPlane,
    ...(joinToken === undefined ? {} : { joinToken }),
    stateDirectory: directory,
    workers: workload.workers,
    drainMs: parseDuration(workload.drain) ?? 5000,
    limits: workload.limit,
    recordPercent: workload.recordPercent,
    proxyStatus: workload.proxyStatus,
    accessLog: accessLogSink(workload.accessLog),
    logger,
    clock,
  });
  try {
    await sidecar.ready;
  } catch (thrown) {
    await sidecar.close();
    throw thrown;
  }
  const { identity, addresses, quitRequested, failed } = sidecar;
  return {
    identity,
    addresses,
    meshAddress: { host: workload.address ?? addresses.inbound.host, port: addresses.inbound.port },
    quitRequested,
    failed,
    environment: () => sidecar.environment(),
    drain: () => sidecar.drain(),
    close: () => sidecar.close(),
  };
}

function accessLogSink(text: string): AccessLogSink {
  return text === "stdout" || text === "off" ? text : { file: text };
}
