import type { Client } from "@tulle/client";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { isStructured, renderStructured, type GetFormat } from "../output/format.js";
import { renderListing } from "../output/listings.js";
import { terminalText } from "../output/terminal-text.js";
import type { Listing, ListingQuery } from "./listing.js";

/** One kind that is asked for. */
export interface Asked {
  readonly names: readonly string[];
  readonly list: (client: Client, query: ListingQuery) => Promise<Listing>;
}

export interface GetObjectsOptions {
  readonly asked: readonly Asked[];
  readonly namespace: string | undefined;
  readonly labelSelector?: string;
  readonly output: GetFormat;
}

/** Prints what is asked for; gives the exit code: 4 when a name is not there. */
export async function getObjects(
  client: Client,
  options: GetObjectsOptions,
  context: CliContext,
): Promise<number> {
  const { asked, namespace, labelSelector } = options;
  const listings: Listing[] = [];
  for (const { names, list } of asked) {
    const now = context.clock.now();
    listings.push(
      await list(client, {
        namespace,
        names,
        now,
        ...(labelSelector === undefined ? {} : { labelSelector }),
      }),
    );
  }
  context.out(await render(listings, options, context));
  for (const { warnings = [] } of listings) {
    for (const warning of warnings) context.err(`tulle: warning: ${terminalText(warning)}\n`);
  }
  const missing = listings.flatMap((listing) => listing.missing);
  for (const message of missing) context.err(`tulle: ${terminalText(message)}\n`);
  const none = listings.every(({ rows }) => rows.length === 0) && missing.length === 0;
  if (none && !isStructured(options.output)) context.err(`${nothingFound(listings, namespace)}\n`);
  return missing.length > 0 ? EXIT.notFound : EXIT.ok;
}

async function render(
  listings: readonly Listing[],
  { asked, namespace, output }: GetObjectsOptions,
  { colors }: CliContext,
): Promise<string> {
  const rows = listings.flatMap((listing) => listing.rows);
  if (output === "name") return rows.map(({ resource }) => `${terminalText(resource)}\n`).join("");
  if (isStructured(output)) {
    const [only] = rows;
    const one = asked.length === 1 && asked[0]?.names.length === 1;
    if (one && rows.length <= 1) return only === undefined ? "" : renderStructured(output, only.data);
    // kubectl's form for several objects.
    return renderStructured(output, { apiVersion: "v1", kind: "List", items: rows.map(({ data }) => data) });
  }
  const style = {
    wide: output === "wide",
    allNamespaces: namespace === undefined,
    qualified: asked.length > 1,
    colors,
  };
  return listings
    .filter((listing) => listing.rows.length > 0)
    .map((listing) => renderListing(listing, style))
    .join("\n");
}

function nothingFound(listings: readonly Listing[], namespace: string | undefined): string {
  const what = listings.map(({ plural }) => plural).join(", ");
  const scoped = namespace !== undefined && listings.some(({ namespaced }) => namespaced);
  return `No ${what} found${scoped ? ` in namespace ${namespace}; -A looks in all` : ""}.`;
}
