import type { Kind, MeshObject } from "@tulle/api";

import type { JsonObject } from "./patch.js";

const TABLE_VERSION = "meta.k8s.io/v1";

/** Whether an Accept header prefers a table (`application/json;as=Table;v=v1;g=meta.k8s.io`). */
export function wantsTable(accept: string): boolean {
  return /(^|[;,\s])as=Table([;,\s]|$)/.test(accept);
}

/** `?includeObject=`: what each row carries of its object. */
export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly now: number;
  readonly include: IncludeObject;
  readonly toWire: (object: MeshObject) => JsonObject;
}

/**
 * A `meta.k8s.io/v1` Table of objects, as kubectl prints it. `header: false` leaves the columns out, as in all but
 * the first event of a watch.
 */
export function tableOf(
  kind: Kind,
  objects: readonly MeshObject[],
  listMetadata: JsonObject,
  options: TableOptions & { readonly header?: boolean },
): JsonObject {
  const columns = [
    { name: "Name", type: "string", format: "name", description: "Name of the object", priority: 0 },
    ...kind.columns.map(({ name, type, description, priority }) => ({
      name,
      type,
      format: "",
      description,
      priority,
    })),
  ];
  return {
    kind: "Table",
    apiVersion: TABLE_VERSION,
    metadata: listMetadata,
    columnDefinitions: options.header === false ? null : columns,
    rows: objects.map((object) => row(kind, object, options)),
  };
}

function row(kind: Kind, object: MeshObject, { now, include, toWire }: TableOptions): JsonObject {
  const cells = [object.metadata.name, ...kind.columns.map((column) => column.cell(object, now))];
  if (include === "None") return { cells };
  const wire = toWire(object);
  const shown: JsonObject =
    include === "Object"
      ? wire
      : { kind: "PartialObjectMetadata", apiVersion: TABLE_VERSION, metadata: wire["metadata"] ?? null };
  return { cells, object: shown };
}
