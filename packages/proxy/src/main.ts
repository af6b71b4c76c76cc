import { randomInt } from "node:crypto";

import { createWorkloadIdentity } from "@tulle/agent";
import { createLogger, systemClock, type Logger } from "@tulle/base";

import { parseLimits } from "./limits/proxy-limits.js";
import { RunningSidecar } from "./lifecycle/running-sidecar.js";
import type { Sidecar, SidecarOptions } from "./options.js";

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
  const { controlPlane } = options;
  const trustDomain = controlPlane.trustDomain ?? "cluster.local";
  const identity = await createWorkloadIdentity({
    id: {
      trustDomain,
      namespace: options.namespace ?? "default",
      serviceAccount: options.serviceAccount ?? options.service,
    },
    stateDirectory: options.stateDirectory,
    controlPlane: { address: controlPlane.xds, rootCertificatePem: controlPlane.rootCertificatePem },
    joinToken: options.joinToken,
    clock,
    random,
    logger,
  });
  const sidecar = new RunningSidecar(options, { logger, clock, identity, trustDomain, random });
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
