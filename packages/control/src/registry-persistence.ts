import type { RegistryPersistence } from "@tulle/registry";

import type { Coordination } from "./stores/coordination.js";

const PREFIX = "registry/";

/** Keeps the registry's records in the shared store. */
export function createRegistryPersistence(coordination: Coordination): RegistryPersistence {
  return {
    async load() {
      const found = await coordination.range(PREFIX);
      return found.map(({ key, value }) => ({ key: key.slice(PREFIX.length), value }));
    },
    async put(key, value) {
      await coordination.txn([], [{ op: "put", key: PREFIX + key, value }]);
    },
    async delete(key) {
      await coordination.txn([], [{ op: "delete", key: PREFIX + key }]);
    },
  };
}
