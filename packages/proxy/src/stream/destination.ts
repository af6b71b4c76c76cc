import { route, type HttpChain, type Plan, type ReplyPlan } from "@tulle/engine";
import { normalizePath } from "@tulle/http";

import type { Failure } from "../rescue.js";
import type { OwnView } from "./decision.js";
import type { ExchangeContext } from "./exchange-context.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { findChain, findConnection } from "./find-chain.js";
import type { Parked } from "./parking.js";

/** Who is told where a request goes. */
export interface DestinationOwner {
  /** By this route of the chain. */
  onRouted(chain: HttpChain, routed: Plan | ReplyPlan): void;
  /** A CONNECT gets its connection. */
  onConnected(): void;
  /** Nowhere. */
  onNowhere(failure: Failure, detail: string): void;
  /** It waits for configuration, for so long at most: `giveUp` ends that. */
  onParked(timeoutMs: number): void;
  /** It waits no longer. */
  onUnparked(): void;
}

/**
 * Finds where a request goes, and waits where the configuration that says it has not come yet. One for each exchange,
 * used for its requests one after the other.
 */
export class Destination implements Parked {
  readonly #record: ExchangeRecord;
  readonly #context: ExchangeContext;
  readonly #view: OwnView;
  readonly #mayConnect: boolean;
  readonly #owner: DestinationOwner;
  #parked = false;

  /** `mayConnect`: the client's connection can become one to somebody else. */
  constructor(
    record: ExchangeRecord,
    context: ExchangeContext,
    view: OwnView,
    mayConnect: boolean,
    owner: DestinationOwner,
  ) {
    this.#record = record;
    this.#context = context;
    this.#view = view;
    this.#mayConnect = mayConnect;
    this.#owner = owner;
  }

  /** Whether it waits for configuration. */
  get parked(): boolean {
    return this.#parked;
  }

  /** Finds the destination of the record's request, now or when it is known. */
  find(): void {
    if (this.#record.request.method === "CONNECT") this.#connect();
    else this.#route();
  }

  onConfigurationChanged(): void {
    if (this.#parked) this.find();
  }

  /** Waits no longer, if it did. */
  giveUp(): void {
    if (!this.#parked) return;
    this.#parked = false;
    this.#owner.onUnparked();
    this.#context.parking.remove(this);
  }

  #route(): void {
    const record = this.#record;
    const { source, request } = record;
    const view = this.#view;
    view.snapshot = this.#context.configuration.current;
    record.snapshot = view.snapshot;
    view.now = this.#context.clock.monotonic();
    const chain = findChain(source, request, this.#context);
    if (typeof chain === "string") {
      this.#owner.onNowhere(chain, "");
      return;
    }
    if (chain === undefined || !chain.warm) {
      this.#park();
      return;
    }
    record.chain = chain;
    // Once and for all: what is matched, logged and sent on is one and the same path.
    request.path = normalizePath(request.path, chain.pathNormalization);
    if (source.isMisdirected?.(request.authority) === true) {
      this.#owner.onNowhere("misdirected", "");
      return;
    }
    const routed = route(view, chain, request);
    if (routed.kind === "no-route") {
      this.#owner.onNowhere("no-route", "");
      return;
    }
    if (routed.kind === "forward" && routed.cluster.originalDestination && !this.#findOutside()) return;
    this.giveUp();
    this.#owner.onRouted(chain, routed);
  }

  /** Finds the address of a host that has no endpoints. False while it is not known, or where it is none to go to. */
  #findOutside(): boolean {
    const record = this.#record;
    const { originalEndpoint, outside } = record.source;
    const found = originalEndpoint ?? outside?.endpointOf(record.request.authority);
    if (typeof found === "object") {
      record.outside = found;
      return true;
    }
    if (found !== undefined) this.#owner.onNowhere(found, "");
    else if (outside === undefined) return true;
    else this.#park();
    return false;
  }

  /** What is asked for is a connection to a service, which its own requests or bytes come on. */
  #connect(): void {
    const { source, request } = this.#record;
    const found = this.#mayConnect ? findConnection(source, request) : "unsupported";
    if (typeof found === "string") {
      this.#owner.onNowhere(found, "CONNECT");
      return;
    }
    if (found === undefined) {
      this.#context.onDemand(request.authority);
      this.#park();
      return;
    }
    this.giveUp();
    this.#owner.onConnected();
  }

  #park(): void {
    const { parking } = this.#context;
    if (!parking.add(this)) {
      this.#owner.onNowhere("too-many-waiting", "");
      return;
    }
    if (this.#parked) return;
    this.#parked = true;
    this.#owner.onParked(parking.timeoutMs);
  }
}
