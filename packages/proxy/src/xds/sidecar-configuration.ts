import type { Rejection, ResourceChange, Snapshot, SnapshotSource } from "@tulle/engine";
import { Emitter, MeshError } from "@tulle/base";
import { LISTENER_TYPE, NAME_TABLE_TYPE } from "@tulle/xds";

/** Name of the one NameTable that a sidecar asks for. */
export const NAME_TABLE = "name-table";
/** Name of the listener that says where redirected connections to unknown destinations go (Istio's). */
export const VIRTUAL_OUTBOUND = "virtualOutbound";

/** Takes one resource that is not the engine's. */
export interface ResourceTaker {
  /** Throws when the bytes are not what they should be; what was there stays. */
  replace(bytes: Uint8Array): void;
  /** The resource does not exist, or nobody asks for it any more. */
  clear(): void;
}

/** A resource that the sidecar itself consumes. */
export interface OwnResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly taker: ResourceTaker;
  /** A sidecar is not ready before the control plane has answered for it. */
  readonly required: boolean;
}

/** The name table, for a sidecar that answers DNS. */
export function nameTableResource(taker: ResourceTaker): OwnResource {
  return { typeUrl: NAME_TABLE_TYPE, name: NAME_TABLE, taker, required: true };
}

/**
 * The policy for unknown destinations, of connections that are redirected (`required` then) and of CONNECT: other control
 * planes than ours may have none.
 */
export function virtualOutboundResource(taker: ResourceTaker, required: boolean): OwnResource {
  return { typeUrl: LISTENER_TYPE, name: VIRTUAL_OUTBOUND, taker, required };
}

/** What was applied to a configuration, or forgotten. */
export type ConfigurationChange =
  | { readonly kind: "apply"; readonly changes: readonly ResourceChange[] }
  | { readonly kind: "forget"; readonly typeUrl: string; readonly names: readonly string[] };

/**
 * The engine's configuration with a few resources beside it that no request is decided by: subscribed to, acknowledged
 * and kept on disk in the same way.
 */
export class SidecarConfiguration implements SnapshotSource {
  readonly #engine: SnapshotSource;
  readonly #own: readonly OwnResource[];
  readonly #held = new Map<OwnResource, ResourceChange>();
  readonly #answered = new Set<OwnResource>();
  readonly #changed = new Emitter<ConfigurationChange>();

  constructor(engine: SnapshotSource, own: readonly OwnResource[]) {
    this.#engine = engine;
    this.#own = own;
  }

  /** Fires after `apply` and `forget`, refused resources included: another copy that follows becomes the same. */
  readonly onChanged = this.#changed.event;

  get current(): Snapshot {
    return this.#engine.current;
  }

  /** Whether the control plane has answered for each of the sidecar's own resources that are required. */
  get complete(): boolean {
    return this.#own.every((own) => !own.required || this.#answered.has(own));
  }

  apply(changes: readonly ResourceChange[]): readonly Rejection[] {
    const rejections: Rejection[] = [];
    const rest: ResourceChange[] = [];
    for (const change of changes) {
      const own = this.#find(change.typeUrl, change.name);
      if (own === undefined) {
        rest.push(change);
        continue;
      }
      this.#answered.add(own);
      try {
        this.#take(own, change);
      } catch (thrown) {
        rejections.push({ name: change.name, message: MeshError.from(thrown).message });
      }
    }
    rejections.push(...this.#engine.apply(rest));
    this.#changed.emit({ kind: "apply", changes });
    return rejections;
  }

  wanted(rootListeners: Iterable<string>): ReadonlyMap<string, ReadonlySet<string>> {
    const wanted = new Map(this.#engine.wanted(rootListeners));
    for (const { typeUrl, name } of this.#own) {
      wanted.set(typeUrl, new Set([...(wanted.get(typeUrl) ?? []), name]));
    }
    return wanted;
  }

  named(): ReturnType<SnapshotSource["named"]> {
    return this.#engine.named();
  }

  forget(typeUrl: string, names: Iterable<string>): void {
    const all = [...names];
    const rest: string[] = [];
    for (const name of all) {
      const own = this.#find(typeUrl, name);
      if (own === undefined) rest.push(name);
      else this.#drop(own);
    }
    this.#engine.forget(typeUrl, rest);
    this.#changed.emit({ kind: "forget", typeUrl, names: all });
  }

  *resources(): Iterable<ResourceChange> {
    yield* this.#engine.resources();
    yield* this.#held.values();
  }

  version(typeUrl: string, name: string): string {
    const own = this.#find(typeUrl, name);
    return own === undefined ? this.#engine.version(typeUrl, name) : (this.#held.get(own)?.version ?? "");
  }

  #take(own: OwnResource, change: ResourceChange): void {
    if (change.bytes === undefined) {
      this.#drop(own);
      return;
    }
    own.taker.replace(change.bytes);
    this.#held.set(own, change);
  }

  #drop(own: OwnResource): void {
    own.taker.clear();
    this.#held.delete(own);
  }

  #find(typeUrl: string, name: string): OwnResource | undefined {
    return this.#own.find((own) => own.name === name && own.typeUrl === typeUrl);
  }
}
