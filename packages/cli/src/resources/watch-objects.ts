import type { Kind, WireObject } from "@tulle/api";
import { delay, MeshError } from "@tulle/base";
import type { Client, WatchEvent } from "@tulle/client";

import type { CliContext } from "../context.js";
import { isStructured, renderStructured, type GetFormat } from "../output/format.js";
import { tableColumns } from "../output/listings.js";
import { GrowingTable, type TableColumn } from "../output/table.js";
import { terminalText } from "../output/terminal-text.js";
import type { ListedRow } from "./listing.js";
import { columnsOf, rowOf } from "./object-listing.js";

/** Between the end of one watch and the next: servers end them now and then. */
const PAUSE_MS = 200;

/** Codes that errors have whose HTTP status is 410. */
const REVISION_GONE: ReadonlySet<string> = new Set(["API_EXPIRED", "API_GONE", "API_HTTP_410"]);

export interface WatchObjectsOptions {
  readonly kind: Kind;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Of one object; undefined: all. */
  readonly name: string | undefined;
  readonly labelSelector?: string;
  readonly output: GetFormat;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Prints what is there, then every change, until `signal` aborts. Rejects when the control plane goes away. */
export async function watchObjects(
  client: Client,
  options: WatchObjectsOptions,
  context: CliContext,
): Promise<void> {
  const { kind, namespace, name, labelSelector, signal } = options;
  const print = printer(options, context);
  const query = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
  };
  let from: string | undefined;
  while (!signal.aborted) {
    if (from === undefined) {
      const { items, resourceVersion } = await client.resources.list(kind, query);
      await print(items.map((object) => ({ type: "ADDED", object })));
      from = resourceVersion;
    }
    try {
      for await (const event of client.resources.watch(kind, { ...query, resourceVersion: from, signal })) {
        from = event.object.metadata.resourceVersion;
        if (event.type !== "BOOKMARK") await print([event]);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      // Too long ago: what happened meanwhile is lost, so all is shown anew.
      if (!(thrown instanceof MeshError) || !REVISION_GONE.has(thrown.code)) throw thrown;
      from = undefined;
    }
    if (!signal.aborted) await delay(context.clock, PAUSE_MS);
  }
}

interface EventRow extends ListedRow {
  readonly event: string;
}

function printer(
  { kind, namespace, output }: WatchObjectsOptions,
  context: CliContext,
): (events: readonly Pick<WatchEvent, "type" | "object">[]) => Promise<void> {
  const row = (object: WireObject): ListedRow => rowOf(kind, object, context.clock.now());
  if (output === "name") {
    return async (events) =>
      context.out(events.map(({ object }) => `${terminalText(row(object).resource)}\n`).join(""));
  }
  if (isStructured(output)) {
    const separator = output === "yaml" ? "---\n" : "";
    return async (events) => {
      for (const { object } of events) context.out(separator + (await renderStructured(output, object)));
    };
  }
  const style = {
    wide: output === "wide",
    allNamespaces: namespace === undefined,
    qualified: false,
    colors: context.colors,
  };
  const columns: readonly TableColumn<EventRow>[] = [
    { header: "EVENT", cell: ({ event }) => event.padEnd("MODIFIED".length) },
    ...tableColumns({ namespaced: kind.scope === "Namespaced", columns: columnsOf(kind) }, style),
  ];
  const table = new GrowingTable(columns);
  return async (events) => {
    const rows = events.map(({ type, object }) => ({ ...row(object), event: type }));
    const lines = table.render(rows);
    if (lines.length > 0) context.out(`${lines.join("\n")}\n`);
  };
}
