import type { Client } from "@tulle/client";

import type { Listing, ListingQuery } from "./listing.js";
import { listProxies } from "./proxies.js";
import { listInstances, listServices } from "./registry-listing.js";

/** Something that can be listed and is no object: nobody writes it, the control plane knows it. */
export interface View {
  readonly plural: string;
  readonly names: readonly string[];
  readonly list: (client: Client, query: ListingQuery) => Promise<Listing>;
}

export const VIEWS: readonly View[] = [
  { plural: "services", names: ["services", "service", "svc"], list: listServices },
  { plural: "instances", names: ["instances", "instance", "inst"], list: listInstances },
  { plural: "proxies", names: ["proxies", "proxy", "px"], list: listProxies },
];

export function findView(word: string): View | undefined {
  return VIEWS.find(({ names }) => names.includes(word.toLowerCase()));
}
