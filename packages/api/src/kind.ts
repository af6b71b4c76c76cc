import type { z } from "zod";

/** Where in an object something is wrong, in the notation of `kubectl`: `spec.http[0].route[1].weight`. */
export interface Violation {
  readonly path: string;
  readonly message: string;
}

/** The standard object metadata that Tulle keeps. Fields it does not know are dropped on write. */
export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly uid: string;
  /** Opaque to users; the store's revision as a decimal string. */
  readonly resourceVersion: string;
  /** Counts changes of `spec`, from 1. */
  readonly generation: number;
  /** RFC 3339. */
  readonly creationTimestamp: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly unknown[];
}

/** A stored object, in its kind's storage version. `spec` is valid by its kind's schema. */
export interface MeshObject<Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  /** Parts beside `spec` for the core kinds (`data`, `type`, `involvedObject` …); status is computed when read. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What came out of checking an object that a user wrote. */
export type Checked<Spec> =
  | {
      readonly ok: true;
      readonly spec: Spec;
      readonly extra?: Readonly<Record<string, unknown>>;
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly violations: readonly Violation[]; readonly warnings: readonly string[] };

export interface Column {
  readonly name: string;
  /** OpenAPI type, as in Kubernetes' tables. */
  readonly type: "string" | "integer" | "date";
  readonly description: string;
  /** 0 = always shown; 1 = only with `-o wide`. */
  readonly priority: number;
  readonly cell: (object: MeshObject, now: number) => string | number;
}

/**
 * Everything the rest of the house needs to know about a kind. The resource API, kubectl's discovery, the CLI and
 * translation derive from this table and name no kind themselves.
 */
export interface Kind<Spec = unknown> {
  /** `networking.istio.io`; empty for the core group. */
  readonly group: string;
  /** First = preferred by discovery; all are accepted and served. */
  readonly versions: readonly string[];
  /** The version that objects are stored in. */
  readonly storageVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly columns: readonly Column[];
  /**
   * Checks a raw object (parsed JSON; hostile). Reports **all** violations, none with a path outside the object, and
   * warns of deprecated fields, which it rewrites to their successors in the returned spec.
   */
  readonly check: (raw: Readonly<Record<string, unknown>>) => Checked<Spec>;
  /** The form of `spec`, for those who publish it: of our own kinds. What rules say beside it is in `check` alone. */
  readonly specSchema?: z.ZodType<Spec>;
  /**
   * Core kinds that keep nothing under `spec`: their wire form has no such field, only the object's `extra`. Default
   * false.
   */
  readonly specless?: boolean;
  /**
   * What holds in place of a stored object that cannot be read, for kinds without which more would be open. Expects any
   * spec. Default: the object is left out.
   */
  readonly closed?: (object: MeshObject) => MeshObject;
  /** The status that an object is read with when nothing else is known of it. Default: none. */
  readonly defaultStatus?: Readonly<Record<string, unknown>>;
}

/** Names one object, whatever its version. */
export interface ObjectKey {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}
