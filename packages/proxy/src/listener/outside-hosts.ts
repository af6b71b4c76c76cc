import { isIP, type Socket } from "node:net";

import { formatAddress, type Clock, type Disposable } from "@tulle/base";
import type { EndpointPart } from "@tulle/engine";
import { parseAuthority } from "@tulle/http";

import type { LookUp } from "../dns/system-lookup.js";
import type { ListenAddress } from "../options.js";
import type { Failure } from "../rescue.js";
import type { OutsideWays } from "../stream/contract.js";
import type { Counter, MetricsRegistry } from "../telemetry/metrics.js";
import { originalEndpoint } from "../upstream/original-endpoint.js";
import { addressesOfThisMachine } from "./own-listeners.js";
import { Passthrough } from "./passthrough.js";
import { plainAddress } from "./plain-address.js";
import { isPublicAddress } from "./public-address.js";

/** Names whose lookup is under way or remembered at once, and for how long. */
const MAX_NAMES = 1000;
const REMEMBERED_MS = 30_000;
/** A name that was not found by then is not. */
const PATIENCE_MS = 5000;
const HTTP_PORT = 80;

export interface OutsideHostsOptions {
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  /** Whether the control plane lets unknown destinations pass. */
  readonly policy: { readonly passthrough: boolean };
  readonly lookUp: LookUp;
  /** Whoever asked for what was not known yet looks again. */
  readonly wake: () => void;
  /** Which addresses are reached; default: those of the public internet that are not this machine's. */
  readonly isReached?: (address: string) => boolean;
  /** Of this machine, at present; default: what the kernel says. */
  readonly localAddresses?: () => readonly string[];
}

interface Name {
  /** Undefined while it is looked up; null: nothing that may be reached. */
  address: string | undefined | null;
  readonly sinceMs: number;
}

/**
 * Hosts outside of the mesh for those who use the outbound port as a proxy: reached where the policy for unknown
 * destinations is ALLOW_ANY, and then on the public internet only. What listens on this machine, in private networks
 * or at a cloud's metadata address is not reached by asking a proxy for it: a ServiceEntry names what should be. The
 * address that was judged is the one that is connected to.
 */
export class OutsideHosts implements OutsideWays, Disposable {
  readonly #options: OutsideHostsOptions;
  readonly #names = new Map<string, Name>();
  /** By `host:port`: one object for each, which its connections and its series hang on. */
  readonly #endpoints = new Map<string, EndpointPart>();
  readonly #passthrough: Passthrough;
  readonly #isReached: (address: string) => boolean;
  readonly #opened: Counter;
  readonly #refused: Counter;

  constructor(options: OutsideHostsOptions) {
    const { metrics, clock, localAddresses = addressesOfThisMachine } = options;
    const tunnels = metrics.counter(
      "tulle_outside_tunnels_total",
      "Connections through this proxy to hosts outside of the mesh: opened, refused, loop.",
    );
    this.#options = options;
    this.#isReached =
      options.isReached ??
      ((address) =>
        isPublicAddress(address) && !localAddresses().some((own) => plainAddress(own) === address));
    this.#opened = tunnels.with(["result", "opened"]);
    this.#refused = tunnels.with(["result", "refused"]);
    this.#passthrough = new Passthrough(clock, () => tunnels.with(["result", "loop"]).inc());
  }

  knows(authority: string): true | Failure | undefined {
    if (!this.#options.policy.passthrough) {
      this.#refused.inc();
      return this.#isOutside(authority) ? "blocked" : "unknown-service";
    }
    const destination = this.#destinationOf(authority);
    if (destination === null) this.#refused.inc();
    return destination === null ? "unknown-service" : destination && true;
  }

  endpointOf(authority: string): EndpointPart | Failure | undefined {
    const destination = this.#destinationOf(authority, HTTP_PORT);
    if (destination === null) return "unknown-service";
    if (destination === undefined) return undefined;
    const key = formatAddress(destination.host, destination.port);
    let endpoint = this.#endpoints.get(key);
    if (endpoint === undefined) {
      if (this.#endpoints.size >= MAX_NAMES) this.#endpoints.clear();
      this.#endpoints.set(key, (endpoint = originalEndpoint(destination)));
    }
    return endpoint;
  }

  accept(socket: Socket, authority: string): void {
    const destination = this.#options.policy.passthrough ? this.#destinationOf(authority) : null;
    if (!destination || this.#passthrough.isLoop(socket)) {
      socket.destroy();
      return;
    }
    this.#opened.inc();
    this.#passthrough.open(socket, destination).start();
  }

  [Symbol.dispose](): void {
    this.#passthrough[Symbol.dispose]();
  }

  /** Whether an authority is written like one that would be reached, were it allowed. */
  #isOutside(authority: string): boolean {
    const { host = "" } = parseAuthority(authority) ?? {};
    const literal = literalOf(host);
    return isIP(literal) === 0 ? isOutsideName(host) : this.#isReached(literal);
  }

  /** Undefined while its name is looked up; null: there is nothing that may be reached. */
  #destinationOf(authority: string, defaultPort?: number): ListenAddress | undefined | null {
    const { host = "", port = defaultPort } = parseAuthority(authority) ?? {};
    if (port === undefined) return null;
    const literal = literalOf(host);
    if (isIP(literal) !== 0) return this.#isReached(literal) ? { host: literal, port } : null;
    const address = isOutsideName(host) ? this.#addressOf(host) : null;
    return typeof address === "string" ? { host: address, port } : address;
  }

  #addressOf(host: string): string | undefined | null {
    const now = this.#options.clock.monotonic();
    const known = this.#names.get(host);
    if (known !== undefined && (known.address === undefined || now - known.sinceMs < REMEMBERED_MS))
      return known.address;
    if (known === undefined && this.#names.size >= MAX_NAMES) this.#forgetOld(now);
    if (this.#names.size >= MAX_NAMES) return null;
    this.#lookUp(host, { address: undefined, sinceMs: now });
    return undefined;
  }

  #lookUp(host: string, name: Name): void {
    const { clock, lookUp, wake } = this.#options;
    this.#names.set(host, name);
    const found = (address: string | null): void => {
      if (name.address !== undefined) return;
      timer[Symbol.dispose]();
      name.address = address;
      wake();
    };
    const timer = clock.setTimeout(() => found(null), PATIENCE_MS, { keepAlive: false });
    lookUp(host, "v4-preferred", false).then(
      ({ addresses }) => found(addresses.find((address) => this.#isReached(plainAddress(address))) ?? null),
      () => found(null),
    );
  }

  #forgetOld(now: number): void {
    for (const [host, { address, sinceMs }] of this.#names)
      if (address !== undefined && now - sinceMs >= REMEMBERED_MS) this.#names.delete(host);
  }
}

function literalOf(host: string): string {
  return plainAddress(host.replace(/^\[|\]$/g, ""));
}

/** Short names and the mesh's own would be its services, or somebody's typing error. */
function isOutsideName(host: string): boolean {
  return host.includes(".") && !/\.(?:svc(?:\..*)?|local|localhost|internal)$/.test(host);
}
