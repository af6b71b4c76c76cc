import type { Kind, MeshObject, ObjectMeta } from "./kind.js";
import { apiVersionOf } from "./api-version.js";

/** An object as JSON over HTTP and in files. */
export interface WireObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: WireMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly [part: string]: unknown;
}

/** Metadata on the wire: what is empty is left out. */
export interface WireMeta extends Omit<ObjectMeta, "namespace" | "generation"> {
  readonly namespace?: string;
  readonly generation?: number;
}

/**
 * A stored object as its wire form at one of the kind's versions; all versions have the same fields. `status` defaults
 * to the kind's own.
 */
export function toWire(
  kind: Kind,
  object: MeshObject,
  version: string,
  status: unknown = kind.defaultStatus,
): WireObject {
  const { namespace, generation, ...metadata } = object.metadata;
  return {
    apiVersion: apiVersionOf(kind.group, version),
    kind: kind.kind,
    metadata: {
      ...metadata,
      ...(namespace === "" ? {} : { namespace }),
      ...(kind.specless === true ? {} : { generation }),
    },
    ...(kind.specless === true ? object.extra : { spec: object.spec, ...object.extra }),
    ...(status === undefined ? {} : { status }),
  };
}

/** What a client or the parser read, as a stored object would be: for code that works on files without a server. */
export function fromWire<Spec = unknown>(wire: WireObject): MeshObject<Spec> {
  const { apiVersion, kind, metadata, spec, status: _status, ...extra } = wire;
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, namespace: metadata.namespace ?? "", generation: metadata.generation ?? 1 },
    spec: (spec ?? {}) as Spec,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}
