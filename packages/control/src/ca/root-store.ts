import { X509Certificate } from "node:crypto";

import { MeshError, type Disposable } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";
import type { RootRecord } from "./root-rotation.js";

/** Where the roots live in the coordination store. The store's files are readable by their owner only. */
const ROOTS_KEY = "ca/roots";
/** Where earlier versions kept the only one. */
const SINGLE_ROOT_KEY = "ca/root";

/** A root with its secrets. */
export interface StoredRoot extends RootRecord {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
  /** Its name and key, signed by the root before it. */
  readonly crossSignedPem?: string;
}

interface StoredRoots {
  readonly version: 2;
  readonly trustDomain: string;
  readonly roots: readonly StoredRoot[];
}

/** The roots at one moment. */
export interface RootsRevision {
  /** 0 when nothing is stored. */
  readonly revision: number;
  readonly trustDomain: string;
  readonly roots: readonly StoredRoot[];
}

/** All roots are one value: a step changes it as a whole or not at all. */
export class RootStore {
  readonly #coordination: Coordination;

  constructor(coordination: Coordination) {
    this.#coordination = coordination;
  }

  /** Errors: `invalid` CA_ROOT when what is stored cannot be read. */
  async load(): Promise<RootsRevision> {
    const kv = await this.#coordination.get(ROOTS_KEY);
    if (kv === undefined) {
      const roots = await this.#single();
      return { revision: 0, trustDomain: roots?.trustDomain ?? "", roots: roots?.roots ?? [] };
    }
    try {
      const { version, trustDomain, roots } = JSON.parse(Buffer.from(kv.value).toString()) as StoredRoots;
      if (version !== 2 || !Array.isArray(roots) || roots.some(({ certificatePem }) => !certificatePem)) {
        throw new Error("not in the form of this version");
      }
      return { revision: kv.modRevision, trustDomain, roots };
    } catch (thrown) {
      throw unreadable(thrown);
    }
  }

  /** Returns false when somebody else has changed them since `revision`. */
  async save(revision: number, trustDomain: string, roots: readonly StoredRoot[]): Promise<boolean> {
    const stored: StoredRoots = { version: 2, trustDomain, roots };
    const { succeeded } = await this.#coordination.txn(
      [revision === 0 ? { key: ROOTS_KEY, absent: true } : { key: ROOTS_KEY, modRevision: revision }],
      [
        { op: "put", key: ROOTS_KEY, value: Buffer.from(JSON.stringify(stored)) },
        { op: "delete", key: SINGLE_ROOT_KEY },
      ],
    );
    return succeeded;
  }

  /** Calls back after every change, also one's own. */
  watch(changed: () => void): Disposable {
    return this.#coordination.watch(ROOTS_KEY, changed);
  }

  async #single(): Promise<Pick<StoredRoots, "trustDomain" | "roots"> | undefined> {
    const kv = await this.#coordination.get(SINGLE_ROOT_KEY);
    if (kv === undefined) return undefined;
    try {
      const stored = JSON.parse(Buffer.from(kv.value).toString()) as Pick<
        StoredRoot,
        "certificatePem" | "privateKeyPem"
      > & { readonly trustDomain: string };
      const { serialNumber, validFrom, validTo } = new X509Certificate(stored.certificatePem);
      const notBefore = Date.parse(validFrom);
      const root: StoredRoot = {
        id: serialNumber,
        phase: "active",
        since: notBefore,
        notBefore,
        notAfter: Date.parse(validTo),
        certificatePem: stored.certificatePem,
        privateKeyPem: stored.privateKeyPem,
      };
      return { trustDomain: stored.trustDomain, roots: [root] };
    } catch (thrown) {
      throw unreadable(thrown);
    }
  }
}

/** What is stored is no root. */
export function unreadable(cause: unknown): MeshError {
  return new MeshError(
    "invalid",
    "CA_ROOT",
    "the stored root certificate cannot be read; restore the data directory from a copy or start with a new one",
    { cause },
  );
}
