import { randomInt } from "node:crypto";

import { createWorkloadIdentity, LateIdentity, type JoiningIdentity } from "@tulle/agent";
import { createLogger, systemClock, type Logger } from "@tulle/base";

import { parseLimits } from "./limits/proxy-limits.js";
import { DEFAULT_TRUST_DOMAIN, RunningSidecar } from "./lifecycle/running-sidecar.js";
import type { Sidecar, SidecarControlPlane, SidecarOptions } from "./options.js";

/**
 * Starts a sidecar: joins the mesh (or takes its identity from the state directory), opens its listeners, subscribes to
 * its configuration. Resolves when every listener is open; `ready` says when it can serve. Rejects, with everything
 * closed again, with `PROXY_BAD_LIMIT`, `PROXY_LISTEN_FAILED` or the agent's errors (`AGENT_NO_JOIN_TOKEN`, …).
 */
export async function runSidecar(options: SidecarOptions): Promise<Sidecar> {
  const logger = options.logger ?? stderrLogger();
  const clock = options.clock ?? systemClock;
  // Whoever misspells one should know before anything else happens.
  parseLimits(options.limits ?? []);
  let known: SidecarControlPlane | undefined;
  const join = (controlPlane: SidecarControlPlane): Promise<JoiningIdentity> => {
    known = controlPlane;
    const { xds: address, rootCertificatePem, trustDomain = DEFAULT_TRUST_DOMAIN, joinToken } = controlPlane;
    return createWorkloadIdentity({
      id: {
        trustDomain,
        namespace: options.namespace ?? "default",
        serviceAccount: options.serviceAccount ?? options.service,
      },
      stateDirectory: options.stateDirectory,
      controlPlane: { address, rootCertificatePem },
      joinToken,
      clock,
      random,
      logger,
    });
  };
  const { controlPlane } = options;
  const identity =
    controlPlane instanceof Promise ? new LateIdentity(controlPlane.then(join)) : await join(controlPlane);
  const parts = { logger, clock, identity, random, controlPlane: () => known };
  const sidecar = new RunningSidecar(options, parts);
  try {
    await sidecar.start();
  } catch (thrown) {
    await sidecar.close();
    throw thrown;
  }
  return sidecar;
}

/** Numbers in [0, 1). */
function random(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}

function stderrLogger(): Logger {
  return createLogger({ write: (line) => process.stderr.write(`${line}\n`), now: () => systemClock.now() });
}
