import type { Clock } from "@tulle/base";

import type { Coordination } from "./coordination.js";
import { memoryJournal, type Journal } from "./journal.js";
import { openLmdbJournal } from "./lmdb-journal.js";
import type { ResourceStore } from "./resource-store.js";
import { VersionedCoordination } from "./versioned-coordination.js";
import { VersionedMap } from "./versioned-map.js";
import { VersionedResourceStore } from "./versioned-resource-store.js";

/** Both stores of a control plane; they share one revision counter and, with LMDB, one file. */
export interface Stores {
  readonly kind: "memory" | "lmdb";
  readonly resources: ResourceStore;
  readonly coordination: Coordination;
  close(): Promise<void>;
}

/** Stores that end with the process. */
export function createMemoryStores(options: { readonly clock: Clock }): Stores {
  return storesOver(memoryJournal, "memory", options.clock);
}

/**
 * Stores in `directory`, created when missing. Errors: `unavailable` STORE_LOCKED when another process has it,
 * `invalid` STORE_FORMAT when another version wrote it.
 */
export function openLmdbStores(options: { readonly directory: string; readonly clock: Clock }): Stores {
  return storesOver(openLmdbJournal(options.directory), "lmdb", options.clock);
}

function storesOver(journal: Journal, kind: Stores["kind"], clock: Clock): Stores {
  const map = new VersionedMap(journal);
  const resources = new VersionedResourceStore(map);
  const coordination = new VersionedCoordination(map, clock);
  return {
    kind,
    resources,
    coordination,
    async close() {
      await resources.close();
      await coordination.close();
    },
  };
}
