import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { MeshError, systemErrorCode } from "@tulle/base";

import { writeFileAtomically } from "./atomic-file.js";
import type { Svid } from "./contract.js";
import { parseSvid, type SvidMaterial } from "./svid.js";

/** An SVID with the time when it was got, which is later than its `notBefore`. */
export interface KeptSvid {
  readonly svid: Svid;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
}

interface StoredIdentity {
  readonly version: 1;
  readonly issuedAt: number;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
  readonly federatedBundles?: Readonly<Record<string, string>>;
  readonly revocationListsPem?: string;
  readonly graceMs?: number;
}

const MAX_CHARACTERS = 1 << 23;

/**
 * A workload's identity on disk: `<state directory>/identity.json`, readable by its owner only. Key, chain and roots
 * are one file because they change together.
 */
export class IdentityFile {
  readonly path: string;

  constructor(stateDirectory: string) {
    this.path = join(stateDirectory, "identity.json");
  }

  /** What is kept, or undefined when there is nothing. Errors: `invalid` AGENT_IDENTITY_FILE. */
  async load(): Promise<KeptSvid | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (thrown) {
      if (systemErrorCode(thrown) === "ENOENT") return undefined;
      throw this.#unreadable(thrown);
    }
    try {
      if (text.length > MAX_CHARACTERS)
        throw new MeshError("invalid", "AGENT_IDENTITY_FILE", "the file is too large");
      const stored = JSON.parse(text) as Partial<StoredIdentity>;
      const svid = parseSvid({
        certificateChainPem: String(stored.certificateChainPem),
        privateKeyPem: String(stored.privateKeyPem),
        trustBundlePem: String(stored.trustBundlePem),
        ...trustOf(stored),
      });
      const { issuedAt } = stored;
      return {
        svid,
        issuedAt: typeof issuedAt === "number" && Number.isFinite(issuedAt) ? issuedAt : svid.notBefore,
      };
    } catch (thrown) {
      throw this.#unreadable(thrown);
    }
  }

  async save({ svid, issuedAt }: KeptSvid): Promise<void> {
    const {
      certificateChainPem,
      privateKeyPem,
      trustBundlePem,
      federatedBundles,
      revocationListsPem,
      graceMs,
    } = svid;
    const stored: StoredIdentity = {
      version: 1,
      issuedAt,
      certificateChainPem,
      privateKeyPem,
      trustBundlePem,
      ...(federatedBundles !== undefined && { federatedBundles }),
      ...(revocationListsPem !== undefined && { revocationListsPem }),
      ...(graceMs !== undefined && { graceMs }),
    };
    await writeFileAtomically(this.path, `${JSON.stringify(stored, undefined, 1)}\n`);
  }

  #unreadable(cause: unknown): MeshError {
    return new MeshError(
      "invalid",
      "AGENT_IDENTITY_FILE",
      `${this.path} cannot be read; fix its permissions, or delete it and join again with a new token`,
      { cause },
    );
  }
}

/** Files of earlier versions say nothing of these. */
function trustOf({
  federatedBundles,
  revocationListsPem,
  graceMs,
}: Partial<StoredIdentity>): Pick<SvidMaterial, "federatedBundles" | "revocationListsPem" | "graceMs"> {
  const bundles = Object.entries(federatedBundles ?? {}).filter(([, pem]) => typeof pem === "string");
  return {
    ...(bundles.length > 0 && { federatedBundles: Object.fromEntries(bundles) }),
    ...(typeof revocationListsPem === "string" && revocationListsPem !== "" && { revocationListsPem }),
    ...(typeof graceMs === "number" && graceMs > 0 && { graceMs }),
  };
}
