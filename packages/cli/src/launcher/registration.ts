import type { Client, ServiceRegistration } from "@tulle/client";
import { disposable, formatAddress, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";

import type { Companion } from "./companion.js";
import type { WorkloadOptions } from "./workload-options.js";

/** How often it is made sure that the control plane still knows the instance: one that lost its data learns it again. */
const CONFIRM_EVERY_MS = 10_000;
const DEREGISTER_AFTER = "1m";
const HEALTH_INTERVAL = "1s";

/** What a workload registers through Consul's API; see docs/architecture.md, "Registration by the launcher". */
export function registrationOf(
  options: WorkloadOptions,
  instanceId: string,
  appPort: number,
  mesh: Companion["meshAddress"],
): ServiceRegistration {
  const { service, namespace, version, servicePort, serviceAccount = service, protocol } = options;
  const address = options.address ?? "127.0.0.1";
  const application = formatAddress(address, appPort);
  const check =
    options.healthPath === undefined
      ? { TCP: application }
      : { HTTP: `http://${application}${options.healthPath}` };
  const common = {
    Interval: options.healthInterval ?? HEALTH_INTERVAL,
    Timeout: "2s",
    // Both were seen listening: the instance gets traffic at once, not after the first check.
    Status: "passing",
    DeregisterCriticalServiceAfter: DEREGISTER_AFTER,
  } as const;
  return {
    ID: instanceId,
    Name: service,
    Namespace: namespace,
    Address: address,
    Port: appPort,
    Tags: version === undefined ? [] : [version],
    Meta: {
      ...Object.fromEntries(options.label ?? []),
      ...(version === undefined ? {} : { version }),
      "tulle-service-account": serviceAccount,
      ...(protocol === undefined ? {} : { "tulle-protocol": protocol }),
      ...(servicePort === undefined ? {} : { "tulle-service-port": String(servicePort) }),
    },
    ...(mesh === undefined ? {} : { TaggedAddresses: { mesh: { Address: mesh.host, Port: mesh.port } } }),
    Checks: [
      { ...common, CheckID: `service:${instanceId}`, Name: `${service} answers`, ...check },
      // Callers reach the application through its sidecar only: without that it is as good as gone.
      ...(mesh === undefined
        ? []
        : [
            {
              ...common,
              CheckID: `sidecar:${instanceId}`,
              Name: `the sidecar of ${service} takes connections`,
              TCP: formatAddress(mesh.host, mesh.port),
            },
          ]),
    ],
  };
}

/** Registers an instance and keeps it registered until disposed. */
export async function keepRegistered(
  client: Client,
  registration: ServiceRegistration,
  clock: Clock,
  logger: Logger,
): Promise<Disposable> {
  await client.registry.register(registration);
  let busy = false;
  const confirm = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      if (!(await isRegistered(client, registration))) {
        await client.registry.register(registration);
        logger.info("registered again: the control plane did not know this instance");
      }
    } catch (error) {
      logger.debug("could not confirm the registration", { error });
    } finally {
      busy = false;
    }
  };
  const timer = clock.setInterval(() => void confirm(), CONFIRM_EVERY_MS, { keepAlive: false });
  return disposable(() => timer[Symbol.dispose]());
}

/** Takes the instance out of the registry; when the control plane is away, its health check will. */
export async function deregister(
  client: Client,
  registration: ServiceRegistration,
  logger: Logger,
): Promise<void> {
  try {
    const { ID = registration.Name, Namespace } = registration;
    await client.registry.deregister(ID, Namespace === undefined ? {} : { namespace: Namespace });
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.kind !== "not-found") logger.warn("could not deregister", { error });
  }
}

async function isRegistered(
  client: Client,
  { Name, ID = Name, Namespace }: ServiceRegistration,
): Promise<boolean> {
  const known = await client.registry.health(Name, Namespace === undefined ? {} : { namespace: Namespace });
  return known.some((instance) => instance.Service.ID === ID);
}
