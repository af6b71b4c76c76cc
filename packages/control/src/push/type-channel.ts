import type { ProxyTypeStatus } from "@tulle/api";
import type { Clock } from "@tulle/base";
import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  heldChecksum,
  heldVersion,
  LISTENER_TYPE,
  NAME_TABLE_TYPE,
  ROUTE_TYPE,
  RUNTIME_TYPE,
  SECRET_TYPE,
  type Acknowledgement,
  type EncodedResource,
  type HeldResource,
  type Phase,
  type ResourceState,
  type SubscriptionChange,
} from "@tulle/xds";

import type { AdsClient } from "./ads-client.js";
import type { PushMetrics } from "./push-metrics.js";
import type { CachedResource, ResourceCache, ResourceSubscriber, ViewResources } from "./resource-cache.js";
import type { TypeProtocol } from "./wire.js";

/** Types that are translated. Of any other type nothing exists, and a client that asks is told so. */
const SERVED_TYPES: ReadonlySet<string> = new Set([
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  NAME_TABLE_TYPE,
  SECRET_TYPE,
  RUNTIME_TYPE,
]);

/** A resource that a client subscribes to, translated anew. */
export interface ExpectedResource {
  readonly name: string;
  readonly state: ResourceState;
  /** Undefined when there is none of this name. */
  readonly resource: EncodedResource | undefined;
}

export interface TypeChannelOptions<Request> {
  readonly typeUrl: string;
  readonly client: AdsClient;
  readonly protocol: TypeProtocol<Request>;
  readonly cache: ResourceCache;
  readonly view: ViewResources;
  readonly metrics: PushMetrics;
  readonly clock: Clock;
  /** Called when there may be something to send. */
  readonly onDue: () => void;
}

/** One resource type on one stream: the subscription, the resources behind it, and what became of what was sent. */
export class TypeChannel<Request = never> implements ResourceSubscriber {
  readonly typeUrl: string;
  readonly client: AdsClient;
  readonly #options: TypeChannelOptions<Request>;
  readonly #resources = new Map<string, CachedResource>();
  #changedSinceMs: number | undefined;
  #sentChangeMs: number | undefined;
  #lastSentAt: number | undefined;
  #lastAckedAt: number | undefined;
  /** Of what the client has; undefined = to be made again. */
  #checksum: string | undefined;

  constructor(options: TypeChannelOptions<Request>) {
    this.#options = options;
    this.typeUrl = options.typeUrl;
    this.client = options.client;
  }

  get owed(): boolean {
    return this.#subscription.owed;
  }
  get due(): boolean {
    return this.#subscription.due;
  }
  get breaking(): boolean {
    return this.#subscription.breaking;
  }
  get inFlight(): boolean {
    return this.#subscription.inFlight !== undefined;
  }
  get wildcard(): boolean {
    return this.#subscription.wildcard;
  }

  get #subscription() {
    return this.#options.protocol.subscription;
  }

  onStale(name: string, sinceMs: number): void {
    this.#checksum = undefined;
    this.#changedSinceMs ??= sinceMs;
    this.#subscription.mark(name);
    this.#options.onDue();
  }

  /** Takes a request of this type. Throws when it asks for too much. */
  request(request: Request): Acknowledgement {
    this.#checksum = undefined;
    const change = this.#options.protocol.apply(request);
    this.#follow(change);
    this.#settle(change.acknowledgement);
    return change.acknowledgement;
  }

  /** Makes the next response, encoded, or undefined when there is nothing to say. */
  answer(phase: Phase): Uint8Array | undefined {
    this.#checksum = undefined;
    const { protocol, clock, metrics } = this.#options;
    const answer = protocol.subscription.answer(phase, (name) => this.#resolve(name));
    const changedSinceMs = this.#changedSinceMs;
    if (!protocol.subscription.breaking) this.#changedSinceMs = undefined;
    if (answer === undefined) return undefined;
    this.#sentChangeMs = changedSinceMs;
    this.#lastSentAt = clock.now();
    metrics.countPush(this.typeUrl);
    return protocol.encode(answer);
  }

  /** Checksum of what the client has acknowledged; undefined as long as something is on its way, or was refused. */
  get checksum(): string | undefined {
    if (this.#checksum === undefined) {
      const held = this.#settled();
      if (held !== undefined) this.#checksum = heldChecksum(held);
    }
    return this.#checksum;
  }

  /** What the client has acknowledged, names with versions as it tells them itself; undefined while unsettled. */
  acknowledged(): ReadonlyMap<string, string> | undefined {
    const held = this.#settled();
    return held && new Map(held.map((each) => [each.name, heldVersion(each)]));
  }

  /** The resources with names that `isAsked` knows, as translation gives them now. */
  expected(isAsked: (name: string) => boolean): readonly ExpectedResource[] {
    const { cache } = this.#options;
    return [...this.#resources]
      .filter(([name]) => isAsked(name))
      .map(([name, cached]) => ({ name, state: this.stateOf(name), resource: cache.translateAnew(cached) }));
  }

  /** Looks whether what is kept is what translation gives now; names the resources that had to be made again. */
  audit(nowMs: number, maxAgeMs: number): readonly string[] {
    const { cache } = this.#options;
    return [...this.#resources]
      .filter(([, cached]) => cache.audit(cached, nowMs, maxAgeMs))
      .map(([name]) => name);
  }

  /** Sends resources again. Returns whether the client asks for all of them, so that this can help. */
  resend(names: readonly string[]): boolean {
    this.#checksum = undefined;
    for (const name of names) this.#subscription.resend(name);
    this.#options.onDue();
    return names.every((name) => this.#resources.has(name));
  }

  stateOf(name: string): ResourceState {
    return this.#subscription.stateOf(name);
  }

  /** Why the client refused a resource's newest form. */
  refusalOf(name: string): string | undefined {
    return this.#subscription.refused.get(name);
  }

  status(): ProxyTypeStatus {
    const subscription = this.#subscription;
    const [error] = subscription.refused.values();
    const pending = subscription.inFlight !== undefined || subscription.due || subscription.breaking;
    return {
      typeUrl: this.typeUrl,
      state: error !== undefined ? "nack" : pending ? "stale" : "synced",
      subscribed: subscription.names.size,
      lastSentAt: this.#lastSentAt,
      lastAckedAt: this.#lastAckedAt,
      ...(error === undefined ? {} : { error }),
    };
  }

  close(): void {
    for (const resource of this.#resources.values()) this.#options.cache.unsubscribe(resource, this);
    this.#resources.clear();
  }

  #settled(): readonly HeldResource[] | undefined {
    const subscription = this.#subscription;
    const pending = subscription.inFlight !== undefined || subscription.due || subscription.breaking;
    if (pending || subscription.refused.size > 0) return undefined;
    const held: HeldResource[] = [];
    for (const [name, version] of subscription.held()) {
      const resource = this.#resolve(name);
      if (resource?.version !== version) return undefined;
      held.push({ name, version, bytes: resource.bytes });
    }
    return held;
  }

  #resolve(name: string): EncodedResource | undefined {
    const resource = this.#resources.get(name);
    return resource === undefined ? undefined : this.#options.cache.resolve(resource);
  }

  #follow({ subscribed, unsubscribed }: SubscriptionChange): void {
    if (!SERVED_TYPES.has(this.typeUrl)) return;
    const { cache, view } = this.#options;
    // One request may take a name away and ask for it again.
    for (const name of unsubscribed) {
      const resource = this.#resources.get(name);
      if (resource !== undefined) cache.unsubscribe(resource, this);
      this.#resources.delete(name);
    }
    for (const name of subscribed) {
      this.#resources.set(name, cache.subscribe(view, this.typeUrl, name, this));
    }
  }

  #settle(acknowledgement: Acknowledgement): void {
    const { clock, metrics } = this.#options;
    switch (acknowledgement.kind) {
      case "ack":
        this.#lastAckedAt = clock.now();
        if (this.#sentChangeMs !== undefined) {
          metrics.observeConvergence(clock.monotonic() - this.#sentChangeMs);
        }
        break;
      case "nack":
        metrics.rejects++;
        break;
      case "stale":
        metrics.expiredNonces++;
        return;
      case "none":
        return;
    }
    this.#sentChangeMs = undefined;
  }
}
