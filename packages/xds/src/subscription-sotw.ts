import { combinedVersion } from "./combined-version.js";
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

/** The parts of a DiscoveryRequest that the protocol's state depends on. */
export interface SotwRequest {
  readonly resourceNames: readonly string[];
  readonly responseNonce: string;
  /** `error_detail.message`; undefined without an error. */
  readonly error: string | undefined;
}

const NO_CHANGE = { subscribed: [], unsubscribed: [] } as const;

/**
 * State-of-the-world variant: a request lists every name, a response carries every resource.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#basic-protocol-overview
 *
 * A response never lacks a subscribed resource that exists, because for Listeners and Clusters absence means deletion.
 */
export class SotwSubscription implements Subscription {
  readonly #options: SubscriptionOptions;
  readonly #inFlight = new InFlightResponse();
  #names: ReadonlySet<string> = new Set();
  /** Names that a wildcard was told of with `mark`. */
  readonly #matched = new Set<string>();
  #wildcard = false;
  /** Once names were given, an empty list means none; before, it may mean all. */
  #everNamed = false;
  #owed = false;
  #marked = false;
  #breaking = false;
  /** The newest response's resources, and the versions of the newest that was accepted. */
  #held: ReadonlyMap<string, EncodedResource> = new Map();
  #accepted = new Map<string, string>();

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
    return this.#owed;
  }
  get due(): boolean {
    return this.#owed || this.#marked;
  }
  get breaking(): boolean {
    return this.#breaking;
  }
  get refused(): ReadonlyMap<string, string> {
    return this.#inFlight.refused;
  }

  /**
   * Takes a request. One whose nonce is stale is ignored whole: the client has not seen the newest response yet and
   * will list its names again with that one's nonce. An empty nonce is never stale: some clients change their
   * subscription so before the first response.
   * Throws `exhausted` XDS_TOO_MANY_NAMES, `invalid` XDS_BAD_NAME.
   */
  request(request: SotwRequest): SubscriptionChange {
    checkNameCount(request.resourceNames.length, this.#options.maxNames ?? MAX_SUBSCRIBED_NAMES);
    checkNames(request.resourceNames);
    const acknowledgement = this.#inFlight.settle(request.responseNonce, request.error);
    if (acknowledgement.kind === "stale") return { acknowledgement, ...NO_CHANGE };
    if (acknowledgement.kind === "ack") this.#accepted = versionsOf(this.#held);

    const names = new Set(request.resourceNames);
    const wildcard =
      names.delete(WILDCARD) ||
      (request.resourceNames.length === 0 && !this.#everNamed && allowsLegacyWildcard(this.#options.typeUrl));
    if (request.resourceNames.length > 0) this.#everNamed = true;

    const subscribed = [...names].filter((name) => !this.#names.has(name));
    const unsubscribed = [...this.#names].filter((name) => !names.has(name));
    // A resource that is asked for anew is sent even when this stream carried it before: the client may have dropped it.
    if (subscribed.length > 0 || (wildcard && !this.#wildcard)) this.#owed = true;
    if (!wildcard) this.#matched.clear();
    this.#names = names;
    this.#wildcard = wildcard;
    this.#forget(unsubscribed);
    return { acknowledgement, subscribed, unsubscribed };
  }

  *held(): Iterable<readonly [string, string]> {
    for (const [name, { version }] of this.#held) yield [name, version];
  }

  resend(name: string): void {
    if (this.#wildcard || this.#names.has(name)) this.#owed = true;
  }

  mark(name: string): void {
    if (this.#wildcard) this.#matched.add(name);
    else if (!this.#names.has(name)) return;
    this.#marked = true;
  }

  answer(phase: Phase, resolve: Resolve): Answer | undefined {
    if (this.inFlight !== undefined) return undefined;
    return phase === "make" ? this.#make(resolve) : this.#break(resolve);
  }

  stateOf(name: string): ResourceState {
    if (this.#inFlight.refused.has(name)) return "nack";
    if (this.due || this.#breaking || this.#inFlight.carries(name)) return "stale";
    return this.#held.has(name) ? "synced" : "absent";
  }

  #make(resolve: Resolve): Answer | undefined {
    if (!this.due) return undefined;
    const next = new Map(this.#current(resolve));
    this.#breaking = false;
    for (const [name, resource] of this.#held) {
      if (next.has(name)) continue;
      next.set(name, resource);
      this.#breaking = true;
    }
    this.#marked = false;
    if (!this.#owed && sameVersions(next, this.#held)) return undefined;
    this.#owed = false;
    return this.#send(next);
  }

  #break(resolve: Resolve): Answer | undefined {
    if (!this.#breaking) return undefined;
    this.#breaking = false;
    const next = this.#current(resolve);
    return sameVersions(next, this.#held) ? undefined : this.#send(next);
  }

  #current(resolve: Resolve): ReadonlyMap<string, EncodedResource> {
    const current = new Map<string, EncodedResource>();
    for (const names of [this.#names, this.#matched]) {
      for (const name of names) {
        const resource = resolve(name);
        if (resource !== undefined) current.set(name, resource);
      }
    }
    return current;
  }

  #send(next: ReadonlyMap<string, EncodedResource>): Answer {
    const changed = new Set<string>();
    for (const [name, { version }] of next) if (this.#accepted.get(name) !== version) changed.add(name);
    this.#held = next;
    const nonce = this.#options.nextNonce();
    this.#inFlight.sent(nonce, changed);
    // What is left was refused in another version than it has now.
    this.#inFlight.forgetAll();
    const resources = [...next.values()];
    return { nonce, version: combinedVersion(resources), resources, removed: [] };
  }

  #forget(names: readonly string[]): void {
    if (names.length === 0 || this.#wildcard) return;
    const held = new Map(this.#held);
    for (const name of names) {
      held.delete(name);
      this.#accepted.delete(name);
      this.#inFlight.forget(name);
    }
    this.#held = held;
  }
}

function versionsOf(resources: ReadonlyMap<string, EncodedResource>): Map<string, string> {
  return new Map([...resources].map(([name, { version }]) => [name, version]));
}

function sameVersions(
  a: ReadonlyMap<string, EncodedResource>,
  b: ReadonlyMap<string, EncodedResource>,
): boolean {
  if (a.size !== b.size) return false;
  for (const [name, { version }] of a) if (b.get(name)?.version !== version) return false;
  return true;
}
