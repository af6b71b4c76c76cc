import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { MeshError, type Logger } from "@tulle/base";
import type { Client } from "@tulle/client";

import type { KnownControlPlane } from "./companion.js";

/** Where the control plane is and a token to join with; from the last start when it is away now. */
export async function joinMesh(
  client: Client,
  account: { readonly namespace: string; readonly serviceAccount: string },
  directory: string,
  logger: Logger,
): Promise<{ readonly controlPlane: KnownControlPlane; readonly joinToken: string | undefined }> {
  const file = join(directory, "control-plane.json");
  try {
    const { addresses, trustDomain, rootCertificatePem } = await client.info();
    const controlPlane: KnownControlPlane = { xds: addresses.xds, trustDomain, rootCertificatePem };
    writeFileSync(`${file}.tmp`, JSON.stringify(controlPlane), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    const { token } = await client.joinToken(account);
    return { controlPlane, joinToken: token };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
    const controlPlane = readKnown(file);
    if (controlPlane === undefined) throw error;
    logger.warn("the control plane is away: starting with the last known configuration", { error });
    return { controlPlane, joinToken: undefined };
  }
}

function readKnown(file: string): KnownControlPlane | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as KnownControlPlane;
  } catch {
    return undefined;
  }
}
