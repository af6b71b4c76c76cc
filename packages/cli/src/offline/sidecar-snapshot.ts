import { createSnapshotSource, type SlotTable, type Snapshot, type SnapshotSource } from "@tulle/engine";
import { translate, type ClientView, type MeshReader } from "@tulle/translate";

/** Rounds in which a sidecar learns what it needs; references are three deep. */
const MAX_ROUNDS = 16;

/**
 * What a sidecar with this view would run: everything that its listeners lead to, translated and compiled as in a mesh
 * that is up. Listeners are added when they are asked for.
 */
export class SidecarSnapshot {
  readonly view: ClientView;
  readonly load: SlotTable;
  /** What translation and the engine complain of. */
  readonly warnings = new Set<string>();
  readonly #reader: MeshReader;
  readonly #source: SnapshotSource;
  readonly #listeners = new Set<string>();
  readonly #asked = new Set<string>();

  /** `load`: sidecars that carry nothing may share one. */
  constructor(reader: MeshReader, view: ClientView, load: SlotTable) {
    this.load = load;
    this.#source = createSnapshotSource({ load });
    this.#reader = reader;
    this.view = view;
  }

  /** The snapshot, with this listener in it where there is such a one. */
  with(listener: string): Snapshot {
    if (!this.#listeners.has(listener)) {
      this.#listeners.add(listener);
      for (let round = 0; round < MAX_ROUNDS && this.#learn(); round++);
    }
    return this.#source.current;
  }

  /** Translates what is wanted and not known yet. Returns whether there was anything. */
  #learn(): boolean {
    const changes = [];
    for (const [typeUrl, names] of this.#source.wanted(this.#listeners)) {
      for (const name of names) {
        const key = `${typeUrl} ${name}`;
        if (this.#asked.has(key)) continue;
        this.#asked.add(key);
        const made = translate(this.#reader, this.view, typeUrl, name);
        if (made.resource === undefined) changes.push({ typeUrl, name, version: "", bytes: undefined });
        else {
          const { version, bytes } = made.resource;
          changes.push({ typeUrl, name, version, bytes });
          for (const warning of made.warnings) this.warnings.add(warning);
        }
      }
    }
    for (const { name, message } of this.#source.apply(changes))
      this.warnings.add(`sidecars refuse ${name}: ${message}`);
    return changes.length > 0;
  }
}
