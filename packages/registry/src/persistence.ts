/**
 * Where registrations survive the process. Keys are URL-encoded paths (`services/…`, `nodes/…`, `index`), values JSON
 * of at most 1 MiB. A resolved write must have reached the disk.
 */
export interface RegistryPersistence {
  /** Everything that was put and not deleted. */
  load(): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
  put(key: string, value: Uint8Array): Promise<void>;
  /** Deleting what is not there is not an error. */
  delete(key: string): Promise<void>;
}

/** Keeps registrations for as long as the object lives: for a registry that need not survive. */
export function createMemoryPersistence(): RegistryPersistence {
  const values = new Map<string, Uint8Array>();
  return {
    load: () => Promise.resolve([...values].map(([key, value]) => ({ key, value }))),
    put: (key, value) => {
      values.set(key, value);
      return Promise.resolve();
    },
    delete: (key) => {
      values.delete(key);
      return Promise.resolve();
    },
  };
}
