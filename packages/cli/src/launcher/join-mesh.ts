import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { IdentityFile } from "@tulle/agent";
import { delay, MeshError, type Clock, type Logger } from "@tulle/base";
import type { Client } from "@tulle/client";

import type { CliContext } from "../context.js";
import type { Joined, KnownControlPlane } from "./companion.js";
import type { WorkloadOptions } from "./workload-options.js";

const JOIN_EVERY_MS = 1000;

export interface JoiningAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The token that the user gives; undefined: the control plane is asked for one. */
  readonly joinToken: string | undefined;
}

/** The token that a workload is given to join with: a file's content, or `TULLE_JOIN_TOKEN`. */
export function joinTokenOf(options: WorkloadOptions, { environment }: CliContext): string | undefined {
  const { joinTokenFile } = options;
  if (joinTokenFile === undefined) return environment["TULLE_JOIN_TOKEN"] || undefined;
  try {
    return readFileSync(joinTokenFile, "utf8").trim();
  } catch (cause) {
    throw new MeshError("invalid", "CLI_JOIN_TOKEN", `cannot read ${joinTokenFile}`, { cause });
  }
}

/** Where the control plane is and a token to join with; from the last start when it is away now. */
export async function joinMesh(
  client: Client,
  { joinToken, ...account }: JoiningAccount,
  directory: string,
  logger: Logger,
): Promise<Joined> {
  const file = join(directory, "control-plane.json");
  try {
    const { addresses, trustDomain, rootCertificatePem } = await client.info();
    const controlPlane: KnownControlPlane = { xds: addresses.xds, trustDomain, rootCertificatePem };
    writeFileSync(`${file}.tmp`, JSON.stringify(controlPlane), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    return { controlPlane, joinToken: joinToken ?? (await askForToken(client, account, directory)) };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
    const controlPlane = readKnown(file);
    if (controlPlane === undefined) throw error;
    logger.warn("the control plane is away: starting with the last known configuration", { error });
    return { controlPlane, joinToken: undefined };
  }
}

/** As `join`, again and again as long as the control plane is away. */
export async function joinWhenItIsThere(
  join: () => Promise<Joined>,
  clock: Clock,
  logger: Logger,
): Promise<Joined> {
  for (;;) {
    try {
      return await join();
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
      logger.warn("the control plane is away; trying again", { error });
      await delay(clock, JOIN_EVERY_MS);
    }
  }
}

/** Where workloads may not make tokens for themselves, one that has an identity already goes on with that. */
async function askForToken(
  client: Client,
  account: Omit<JoiningAccount, "joinToken">,
  directory: string,
): Promise<string | undefined> {
  try {
    return (await client.joinToken(account)).token;
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.kind !== "denied" && error.kind !== "unauthenticated") throw error;
    if (existsSync(new IdentityFile(directory).path)) return undefined;
    const { namespace, serviceAccount } = account;
    throw new MeshError(
      error.kind,
      "CLI_NO_JOIN_TOKEN",
      `this workload needs a token to join with ($TULLE_JOIN_TOKEN or --join-token-file): tulle token create --join ${namespace}/${serviceAccount}`,
      { cause: error },
    );
  }
}

function readKnown(file: string): KnownControlPlane | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as KnownControlPlane;
  } catch {
    return undefined;
  }
}
