import { FewNames } from "./few-names.js";
import {
  checkNameCount,
  checkNames,
  InFlightResponse,
  MAX_SUBSCRIBED_NAMES,
  WILDCARD,
  type Answer,
  type Phase,
  type Resolve,
  type ResourceState,
  type Subscription,
  type SubscriptionChange,
  type SubscriptionOptions,
} from "./subscription.js";
import { allowsLegacyWildcard, type EncodedResource } from "./types.js";

/** The parts of a DeltaDiscoveryRequest that the protocol's state depends on. */
export interface DeltaRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What the client kept from an earlier stream: name to version. Looked at in the first request only. */
  readonly initialVersions: Iterable<readonly [name: string, version: string]>;
  readonly responseNonce: string;
  /** `error_detail.message`; undefined without an error. */
  readonly error: string | undefined;
}

/** Stands for "was told that it does not exist" where a version would be. */
const ABSENT = Symbol("absent");

/**
 * Incremental variant: requests change the subscription, responses carry what differs from what the client has.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
 */
export class DeltaSubscription implements Subscription {
  readonly #options: SubscriptionOptions;
  readonly #inFlight = new InFlightResponse();
  readonly #names = new Set<string>();
  /** What the client has, by the newest responses. A refused version counts, so that it is not sent again. */
  readonly #held = new Map<string, string | typeof ABSENT>();
  /** Asked for explicitly: answered even when the client should know. */
  readonly #asked = new FewNames();
  readonly #marked = new FewNames();
  /** The client has them and they vanished. */
  readonly #vanished = new FewNames();
  #wildcard = false;
  #wildcardOwed = false;
  #first = true;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }
  get wildcard(): boolean {
    return this.#wildcard;
  }
  get inFlight(): string | undefined {
    return this.#inFlight.nonce;
  }
  get owed(): boolean {
    return this.#asked.size > 0 || this.#wildcardOwed;
  }
  get due(): boolean {
    return this.owed || this.#marked.size > 0;
  }
  get breaking(): boolean {
    return this.#vanished.size > 0;
  }
  get refused(): ReadonlyMap<string, string> {
    return this.#inFlight.refused;
  }

  /**
   * Takes a request. What it subscribes to and from counts whatever its nonce says: unlike in the other variant it
   * is not repeated with the next one.
   * Throws `exhausted` XDS_TOO_MANY_NAMES, `invalid` XDS_BAD_NAME.
   */
  request(request: DeltaRequest): SubscriptionChange {
    checkNames(request.subscribe);
    const acknowledgement = this.#inFlight.settle(request.responseNonce, request.error);
    const first = this.#first;
    this.#first = false;
    if (first) this.#takeInitial(request.initialVersions);

    const unsubscribed: string[] = [];
    for (const name of request.unsubscribe) {
      if (name === WILDCARD) this.#endWildcard();
      else if (this.#names.delete(name)) unsubscribed.push(name);
    }
    for (const name of unsubscribed) this.#unsubscribe(name);

    const subscribed: string[] = [];
    for (const name of request.subscribe) {
      if (name === WILDCARD) {
        this.#startWildcard();
        continue;
      }
      if (!this.#names.has(name)) subscribed.push(name);
      this.#names.add(name);
      // With the first request the client tells what it has; later, asking again means that it wants it again.
      if (first && this.#held.has(name)) this.#marked.add(name);
      else this.#asked.add(name);
    }
    if (first && request.subscribe.length === 0 && allowsLegacyWildcard(this.#options.typeUrl)) {
      this.#startWildcard();
    }
    checkNameCount(this.#names.size, this.#options.maxNames ?? MAX_SUBSCRIBED_NAMES);
    if (first) this.#dropUnasked();
    return { acknowledgement, subscribed, unsubscribed };
  }

  *held(): Iterable<readonly [string, string]> {
    for (const [name, version] of this.#held) if (typeof version === "string") yield [name, version];
  }

  resend(name: string): void {
    if (this.#wildcard || this.#names.has(name)) this.#asked.add(name);
  }

  mark(name: string): void {
    if (this.#wildcard || this.#names.has(name)) this.#marked.add(name);
  }

  answer(phase: Phase, resolve: Resolve): Answer | undefined {
    if (this.inFlight !== undefined) return undefined;
    return phase === "make" ? this.#make(resolve) : this.#break(resolve);
  }

  stateOf(name: string): ResourceState {
    if (this.#inFlight.refused.has(name)) return "nack";
    const pending = this.#marked.has(name) || this.#asked.has(name) || this.#vanished.has(name);
    if (pending || this.#inFlight.carries(name)) return "stale";
    return typeof this.#held.get(name) === "string" ? "synced" : "absent";
  }

  #make(resolve: Resolve): Answer | undefined {
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    for (const name of new Set([...this.#asked, ...this.#marked])) {
      const asked = this.#asked.has(name);
      const resource = resolve(name);
      const held = this.#held.get(name);
      if (resource !== undefined) {
        this.#vanished.delete(name);
        if (asked || held !== resource.version) resources.push(resource);
      } else if (typeof held === "string" && !asked) {
        this.#vanished.add(name);
      } else if (asked || (held === undefined && this.#names.has(name))) {
        this.#vanished.delete(name);
        removed.push(name);
      }
    }
    const owed = this.owed;
    this.#asked.clear();
    this.#marked.clear();
    this.#wildcardOwed = false;
    // Someone who asks for everything is answered even when there is nothing.
    return owed || resources.length > 0 || removed.length > 0 ? this.#send(resources, removed) : undefined;
  }

  #break(resolve: Resolve): Answer | undefined {
    const removed: string[] = [];
    for (const name of this.#vanished) {
      if (resolve(name) === undefined) removed.push(name);
      else this.#marked.add(name);
    }
    this.#vanished.clear();
    return removed.length > 0 ? this.#send([], removed) : undefined;
  }

  #send(resources: readonly EncodedResource[], removed: readonly string[]): Answer {
    const names = new Set(removed);
    for (const { name, version } of resources) {
      names.add(name);
      this.#held.set(name, version);
    }
    for (const name of removed) {
      // A wildcard client did not ask by name; for it, gone is the same as never seen.
      if (this.#names.has(name)) this.#held.set(name, ABSENT);
      else this.#held.delete(name);
    }
    const nonce = this.#options.nextNonce();
    this.#inFlight.sent(nonce, names);
    return { nonce, version: "", resources, removed };
  }

  #takeInitial(initial: DeltaRequest["initialVersions"]): void {
    let count = 0;
    for (const [name, version] of initial) {
      checkNameCount(++count, this.#options.maxNames ?? MAX_SUBSCRIBED_NAMES);
      this.#held.set(name, version);
    }
  }

  /** Versions of resources that the client does not subscribe to are none of our business. */
  #dropUnasked(): void {
    for (const name of this.#held.keys()) {
      if (this.#wildcard) this.#marked.add(name);
      else if (!this.#names.has(name)) this.#held.delete(name);
    }
  }

  #unsubscribe(name: string): void {
    this.#held.delete(name);
    this.#vanished.delete(name);
    this.#inFlight.forget(name);
    this.#marked.delete(name);
    this.#asked.delete(name);
    // Still covered by the wildcard: the client must hear what that means for this name.
    if (this.#wildcard) this.#asked.add(name);
  }

  #startWildcard(): void {
    this.#wildcard = true;
    this.#wildcardOwed = true;
  }

  #endWildcard(): void {
    this.#wildcard = false;
    this.#wildcardOwed = false;
    for (const names of [this.#held, this.#vanished, this.#marked, this.#asked]) {
      for (const name of names.keys()) if (!this.#names.has(name)) names.delete(name);
    }
  }
}
