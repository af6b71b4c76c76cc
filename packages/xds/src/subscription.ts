import { MeshError } from "@tulle/base";

import type { EncodedResource } from "./types.js";

/** What a request's nonce and error say about the responses sent before. */
export type Acknowledgement =
  /** Nothing: a first request, or a mere change of the subscription. */
  | { readonly kind: "none" }
  | { readonly kind: "ack"; readonly nonce: string }
  | { readonly kind: "nack"; readonly nonce: string; readonly message: string }
  /** It answers a response that is not the newest. */
  | { readonly kind: "stale"; readonly nonce: string };

/** What a request changed. */
export interface SubscriptionChange {
  readonly acknowledgement: Acknowledgement;
  /** Names that were not subscribed to before. */
  readonly subscribed: readonly string[];
  /** Names that are not subscribed to any more. */
  readonly unsubscribed: readonly string[];
}

/**
 * Make before break: `make` sends what is new or changed and keeps what vanished, `break` takes away what vanished.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
export type Phase = "make" | "break";

/** The resource of a name as it is now, or undefined when there is none. */
export type Resolve = (name: string) => EncodedResource | undefined;

/** One response to send. Committed: the subscription takes it as sent and awaits its acknowledgement. */
export interface Answer {
  readonly nonce: string;
  /** State of the world: the version of the whole. Delta: "" (each resource carries its own). */
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  /** Delta only: names that do not exist (any more). */
  readonly removed: readonly string[];
}

/** How far a client is with one resource. */
export type ResourceState = "synced" | "stale" | "nack" | "absent";

/** Protocol state of one resource type on one stream, whichever variant of the protocol the stream speaks. */
export interface Subscription {
  /** Names that the client asked for, without the wildcard. */
  readonly names: ReadonlySet<string>;
  readonly wildcard: boolean;
  /** Nonce of the response that is not acknowledged yet. No other may be sent meanwhile. */
  readonly inFlight: string | undefined;
  /** A request awaits its answer, even when nothing changed. */
  readonly owed: boolean;
  /** `answer("make")` may have something to send. */
  readonly due: boolean;
  /** `answer("break")` may have something to send. */
  readonly breaking: boolean;
  /** Resources that the client refused in their newest form, with its words. */
  readonly refused: ReadonlyMap<string, string>;
  /** What the client has, by the newest responses: names with their versions. Refused versions count. */
  held(): Iterable<readonly [name: string, version: string]>;
  /** Has the resource of a name sent again, or that there is none, whatever the client should have. */
  resend(name: string): void;
  /** Says that the resource of a name may have changed. Names that the client did not ask for are ignored. */
  mark(name: string): void;
  /** Takes the next response of a phase, or undefined when there is nothing to say. Only without one in flight. */
  answer(phase: Phase, resolve: Resolve): Answer | undefined;
  stateOf(name: string): ResourceState;
}

export interface SubscriptionOptions {
  readonly typeUrl: string;
  /** Makes nonces that are unique on the stream. */
  readonly nextNonce: () => string;
  /** Names in one subscription; default 10,000. */
  readonly maxNames?: number;
}

/** Subscribes to everything: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return */
export const WILDCARD = "*";
/** Names in one subscription, unless told otherwise. */
export const MAX_SUBSCRIBED_NAMES = 10_000;
/** Length of one resource name, characters. */
export const MAX_NAME_LENGTH = 2_048;
/** A client's error text is cut to this many characters. */
const MAX_ERROR_LENGTH = 4_096;

/** Throws `exhausted` XDS_TOO_MANY_NAMES. */
export function checkNameCount(count: number, maxNames: number): void {
  if (count <= maxNames) return;
  throw new MeshError(
    "exhausted",
    "XDS_TOO_MANY_NAMES",
    `a subscription may hold ${maxNames} names; subscribe only to what is used`,
  );
}

/** Throws `invalid` XDS_BAD_NAME for names that are empty or too long. */
export function checkNames(names: Iterable<string>): void {
  for (const name of names) {
    if (name !== "" && name.length <= MAX_NAME_LENGTH) continue;
    throw new MeshError(
      "invalid",
      "XDS_BAD_NAME",
      `resource names have 1 to ${MAX_NAME_LENGTH} characters; this one has ${name.length}`,
    );
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

const NOTHING_REFUSED: ReadonlyMap<string, string> = new Map();

/** Follows the one response in flight: nonce, what it carried, and what the client said to it. */
export class InFlightResponse {
  #nonce: string | undefined;
  #newest: string | undefined;
  #names = NO_NAMES;
  #refused: Map<string, string> | undefined;

  get nonce(): string | undefined {
    return this.#nonce;
  }

  /** Names of what was refused, with the client's message. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused ?? NOTHING_REFUSED;
  }

  /** `names` are those that the response changes for the client: only they can be why it is refused. */
  sent(nonce: string, names: ReadonlySet<string>): void {
    this.#nonce = nonce;
    this.#newest = nonce;
    this.#names = names;
    if (this.#refused !== undefined) for (const name of names) this.forget(name);
  }

  /** What was said of a resource counts no more. */
  forget(name: string): void {
    this.#refused?.delete(name);
  }

  /** As {@link forget}, of every resource. */
  forgetAll(): void {
    this.#refused = undefined;
  }

  carries(name: string): boolean {
    return this.#nonce !== undefined && this.#names.has(name);
  }

  /** A nonce from before the first response belongs to an earlier stream and says nothing. */
  settle(nonce: string, error: string | undefined): Acknowledgement {
    if (nonce === "" || this.#newest === undefined) return { kind: "none" };
    if (nonce !== this.#newest) return { kind: "stale", nonce };
    if (this.#nonce === undefined) return { kind: "none" };
    this.#nonce = undefined;
    if (error === undefined) {
      this.#names = NO_NAMES;
      return { kind: "ack", nonce };
    }
    const message = error.slice(0, MAX_ERROR_LENGTH);
    this.#refused ??= new Map();
    for (const name of blamed(this.#names, message)) this.#refused.set(name, message);
    return { kind: "nack", nonce, message };
  }
}

/** The error is free text; where it names resources of the response, the others are taken as accepted. */
function blamed(names: ReadonlySet<string>, message: string): Iterable<string> {
  const named = [...names].filter((name) => message.includes(name));
  return named.length > 0 ? named : names;
}
