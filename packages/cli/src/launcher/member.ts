import { mkdirSync } from "node:fs";

import { claimStateDirectory } from "@tulle/agent";
import type { Logger } from "@tulle/base";
import type { Client } from "@tulle/client";

import { cliLogger, type CliContext } from "../context.js";
import { stateDirectory } from "../state-directory.js";
import type { Companion, Inheritance, KnownControlPlane } from "./companion.js";
import { freePort } from "./free-port.js";
import { joinMesh, joinTokenOf, joinWhenItIsThere } from "./join-mesh.js";
import { workloadClients } from "./workload-client.js";
import type { WorkloadOptions } from "./workload-options.js";

/** A companion that serves, with what it was started from. */
export interface Member {
  readonly companion: Companion;
  readonly instanceId: string;
  /** Where the application listens, or is to listen; undefined for a client only. */
  readonly appPort: number | undefined;
  /** Where its state is. */
  readonly directory: string;
  readonly controlPlane: KnownControlPlane;
  /** The control plane's HTTP API, as the workload. */
  readonly registering: Client;
  readonly logger: Logger;
}

/** Joins the mesh and starts the companion; resolves when it can serve. `inheritance`: it goes on for a predecessor. */
export async function startMember(
  options: WorkloadOptions,
  context: CliContext,
  inheritance?: Inheritance,
): Promise<Member> {
  const logger = cliLogger(context, options.logLevel);
  const appPort =
    inheritance?.appPort ?? (options.port === 0 ? await freePort(context.random) : options.port);
  const instanceId = inheritance?.instanceId ?? options.instanceId ?? defaultInstanceId(options, context);
  const directory =
    options.stateDir ?? stateDirectory(context.environment, "sidecars", options.namespace, instanceId);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  await claimStateDirectory(directory);
  const { service, namespace, serviceAccount = service } = options;
  const { joining, registering } = await workloadClients(options, directory, context);
  const account = { namespace, serviceAccount, joinToken: joinTokenOf(options, context) };
  const join = () => joinMesh(joining, account, directory, logger);
  const joined = options.failOpen === true ? joinWhenItIsThere(join, context.clock, logger) : await join();
  const start =
    options.proxyless === true
      ? (await import("./proxyless-companion.js")).startProxylessCompanion
      : (await import("./sidecar-companion.js")).startSidecarCompanion;
  const { clock, random } = context;
  const companion = await start({
    workload: options,
    instanceId,
    appPort,
    directory,
    joined,
    clock,
    random,
    logger,
    ...(inheritance && { inheritance }),
  });
  const { controlPlane } = await joined;
  return { companion, instanceId, appPort, directory, controlPlane, registering, logger };
}

function defaultInstanceId({ service, version, port = 0 }: WorkloadOptions, context: CliContext): string {
  // A fixed port makes a name that the next start finds its identity under again.
  const last =
    port === 0
      ? Math.floor(context.random() * 36 ** 6)
          .toString(36)
          .padStart(6, "0")
      : String(port);
  return [service, ...(version === undefined ? [] : [version]), last].join("-");
}
