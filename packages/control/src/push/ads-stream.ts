import { MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import { LISTENER_TYPE, REMOVAL_ORDER, ROUTE_TYPE, SECRET_TYPE, SEND_ORDER } from "@tulle/xds";

import type { AdsClient } from "./ads-client.js";
import type { PushMetrics } from "./push-metrics.js";
import type { ResourceCache, ViewResources } from "./resource-cache.js";
import { TypeChannel } from "./type-channel.js";
import type { WireVariant } from "./wire.js";

/** Resource types that one stream may ask for. */
const MAX_TYPES = 16;
const MAX_TYPE_URL_LENGTH = 256;

/** Types that refer to others: their changes wait until what they may refer to has been sent. */
const REFERRERS: ReadonlySet<string> = new Set([LISTENER_TYPE, ROUTE_TYPE]);

export interface AdsStreamOptions<Request> {
  readonly client: AdsClient;
  readonly wire: WireVariant<Request>;
  /** Makes nonces that are unique on this stream and unlikely on another. */
  readonly nextNonce: () => string;
  readonly maxNames: number;
  readonly cache: ResourceCache;
  readonly metrics: PushMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes one encoded response. */
  readonly write: (response: Uint8Array) => void;
  /** Called when there may be something to send, many times per change. */
  readonly onDue: () => void;
}

/** What of a stream the ledger reads. */
export interface StreamRecord {
  readonly client: AdsClient;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  readonly channels: Iterable<TypeChannel>;
}

/**
 * One client's aggregated stream: which response may leave when. Per type at most one is in flight until the client
 * answered it; what changes meanwhile is sent after, once, in its newest form.
 */
export class AdsStream<Request> implements StreamRecord, Disposable {
  readonly client: AdsClient;
  readonly connectedAt: number;
  readonly #options: AdsStreamOptions<Request>;
  readonly #view: ViewResources;
  /** Only of clients that ask for Secrets. */
  #secretView: ViewResources | undefined;
  readonly #channels = new Map<string, TypeChannel<Request>>();
  #wildcardWarned = false;
  #disposed = false;

  constructor(options: AdsStreamOptions<Request>) {
    this.#options = options;
    this.client = options.client;
    this.connectedAt = options.clock.now();
    this.#view = options.cache.openView(options.client.view);
  }

  get channels(): Iterable<TypeChannel<Request>> {
    return this.#channels.values();
  }

  /** Takes a request. Nothing is sent before `flush`. Throws when it is not acceptable: the stream must end. */
  request(typeUrl: string, request: Request): void {
    const channel = this.#channel(typeUrl);
    const acknowledgement = channel.request(request);
    const { logger } = this.#options;
    if (acknowledgement.kind === "nack") {
      logger.warn("a proxy refused its configuration", {
        proxy: this.client.id,
        typeUrl,
        error: acknowledgement.message,
      });
    }
    if (channel.wildcard && !this.#wildcardWarned) {
      this.#wildcardWarned = true;
      logger.warn("a proxy subscribed to everything; only names that it asks for are served", {
        proxy: this.client.id,
        typeUrl,
      });
    }
  }

  /** Sends what may be sent now. */
  flush(): void {
    if (this.#disposed) return;
    let waiting = false;
    for (const channel of this.#inOrder(SEND_ORDER)) {
      const held = channel.inFlight || (waiting && REFERRERS.has(channel.typeUrl) && !channel.owed);
      if (channel.due && !held) this.#send(channel, "make");
      waiting ||= channel.due;
    }
    // What nothing refers to any more goes last, and only once nothing that may refer to it is waiting.
    for (const channel of this.#inOrder(REMOVAL_ORDER)) {
      if (channel.breaking && !channel.inFlight && !channel.due) this.#send(channel, "break");
      if (channel.breaking || channel.due) break;
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#options.cache.closeView(this.#view);
    if (this.#secretView !== undefined) this.#options.cache.closeView(this.#secretView);
  }

  #send(channel: TypeChannel<Request>, phase: "make" | "break"): void {
    const response = channel.answer(phase);
    if (response !== undefined) this.#options.write(response);
  }

  /** Channels in the order of `typeUrls`, those of other types last. */
  *#inOrder(typeUrls: readonly string[]): Iterable<TypeChannel<Request>> {
    for (const typeUrl of typeUrls) {
      const channel = this.#channels.get(typeUrl);
      if (channel !== undefined) yield channel;
    }
    for (const channel of this.#channels.values()) {
      if (!typeUrls.includes(channel.typeUrl)) yield channel;
    }
  }

  #channel(typeUrl: string): TypeChannel<Request> {
    const existing = this.#channels.get(typeUrl);
    if (existing !== undefined) return existing;
    const { client, wire, nextNonce, maxNames, cache, metrics, clock, onDue } = this.#options;
    if (typeUrl === "" || typeUrl.length > MAX_TYPE_URL_LENGTH || this.#channels.size >= MAX_TYPES) {
      throw new MeshError(
        "invalid",
        "XDS_BAD_TYPE",
        `a request names one resource type (type_url), a stream at most ${MAX_TYPES}`,
      );
    }
    const channel = new TypeChannel<Request>({
      typeUrl,
      client,
      protocol: wire({ typeUrl, nextNonce, maxNames }),
      cache,
      view: typeUrl === SECRET_TYPE ? (this.#secretView ??= cache.openView(client.secretView)) : this.#view,
      metrics,
      clock,
      onDue,
    });
    this.#channels.set(typeUrl, channel);
    return channel;
  }
}
