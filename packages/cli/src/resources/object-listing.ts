import { fromWire, type Kind, type WireObject } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Client } from "@tulle/client";

import type { ListedRow, Listing, ListingColumn, ListingQuery } from "./listing.js";
import { resourceName } from "./resource-name.js";

/** The objects of a kind. */
export async function listObjects(client: Client, kind: Kind, query: ListingQuery): Promise<Listing> {
  const { items, missing } =
    query.names.length === 0 ? await all(client, kind, query) : await named(client, kind, query);
  return {
    plural: kind.plural,
    namespaced: kind.scope === "Namespaced",
    columns: columnsOf(kind),
    rows: items.map((object) => rowOf(kind, object, query.now)),
    missing,
  };
}

export function columnsOf(kind: Kind): readonly ListingColumn[] {
  return kind.columns.map(({ name, priority }) => ({ header: name.toUpperCase(), wide: priority > 0 }));
}

export function rowOf(kind: Kind, wire: WireObject, now: number): ListedRow {
  const object = fromWire(wire);
  return {
    name: object.metadata.name,
    resource: resourceName(kind, object.metadata.name),
    namespace: object.metadata.namespace,
    cells: kind.columns.map((column) => column.cell(object, now)),
    data: wire,
  };
}

interface Found {
  readonly items: readonly WireObject[];
  readonly missing: readonly string[];
}

async function all(client: Client, kind: Kind, { namespace, labelSelector }: ListingQuery): Promise<Found> {
  const { items } = await client.resources.list(kind, {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
  });
  return { items, missing: [] };
}

async function named(
  client: Client,
  kind: Kind,
  { namespace = "default", names }: ListingQuery,
): Promise<Found> {
  const items: WireObject[] = [];
  const missing: string[] = [];
  for (const name of names) {
    try {
      items.push(await client.resources.get(kind, { namespace, name }));
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || thrown.kind !== "not-found") throw thrown;
      missing.push(thrown.message);
    }
  }
  return { items, missing };
}
