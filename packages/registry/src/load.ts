import type { Logger } from "@tulle/base";
import type { MemoryCatalog } from "./catalog.js";
import { freshCheck, stamp } from "./check-states.js";
import {
  decodeNode,
  decodeService,
  isOwnNodeKey,
  isOwnServiceKey,
  type CheckRecord,
} from "./record-codec.js";
import type { WritableCheck, WritableNode } from "./state.js";

export interface LoadOptions {
  readonly catalog: MemoryCatalog;
  /** The own node, in the catalog already: what agents registered belongs to it, whatever its name is now. */
  readonly self: WritableNode;
  readonly index: number;
  readonly nowMs: number;
  readonly logger: Logger;
}

/** Fills the catalog from stored records. Last known health holds. Damaged records are reported and left out. */
export function loadRecords(
  entries: readonly { readonly key: string; readonly value: Uint8Array }[],
  { catalog, self, index, nowMs, logger }: LoadOptions,
): void {
  const checksOf = (records: readonly CheckRecord[]): Map<string, WritableCheck> =>
    new Map(
      records.map(({ definition, status, output, silent = false }) => [
        definition.id,
        stamp({ ...freshCheck(definition), status, output, silent }, index, nowMs),
      ]),
    );

  const loadNode = (key: string, value: Uint8Array): boolean => {
    const record = decodeNode(value);
    if (record === undefined) return false;
    const checks = checksOf(record.checks);
    if (isOwnNodeKey(key)) self.checks = checks;
    else if (catalog.node(record.definition.name) === undefined) {
      const { definition } = record;
      catalog.putNode({ definition, checks, services: new Map(), createIndex: index, modifyIndex: index });
    }
    return true;
  };

  const loadService = (key: string, value: Uint8Array): boolean => {
    const record = decodeService(value);
    if (record === undefined) return false;
    const node = isOwnServiceKey(key) ? self : catalog.node(record.node);
    if (node === undefined) return false;
    const checks = checksOf(record.checks);
    catalog.putService({
      node,
      definition: record.definition,
      checks,
      createIndex: index,
      modifyIndex: index,
    });
    return true;
  };

  // Nodes first: services refer to them.
  for (const [prefix, load] of [
    ["nodes/", loadNode],
    ["services/", loadService],
  ] as const) {
    for (const { key, value } of entries) {
      if (key.startsWith(prefix) && !load(key, value)) {
        logger.error("a stored registration cannot be read and is left out; register it again", { key });
      }
    }
  }
}
