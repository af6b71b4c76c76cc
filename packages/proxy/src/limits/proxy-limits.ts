import { MeshError } from "@tulle/base";
import type { HttpChain } from "@tulle/engine";
import type { Http1Limits, Http2Limits, Http2Options } from "@tulle/http";

import { definitionOf, LIMIT_NAMES, type LimitName, type LimitValues } from "./limit-table.js";

/** The limits of one client's connection. */
export interface ConnectionLimits {
  readonly values: LimitValues;
  readonly idleTimeoutMs: number;
  readonly headerTimeoutMs: number;
  /** 0 = none. */
  readonly maxDurationMs: number;
  readonly delayedCloseMs: number;
  readonly maxBufferedBytes: number;
  /** HTTP/1. */
  readonly requestsPerTurn: number;
  readonly http1: Http1Limits;
  readonly http2: Http2Options;
}

/** Who a connection is from, as far as its limits depend on it. */
export interface LimitedSource {
  /** The application, or a workload of the mesh. */
  readonly ownCaller: boolean;
  readonly fixedAuthority: string;
  chain(authority: string): HttpChain | undefined | null;
}

type Given = Readonly<Partial<Record<LimitName, number>>>;

/**
 * The limits of a proxy: the table's defaults, then what the control plane says for a listener, then what was given at the
 * start. Made once for each kind of client; a connection only refers to its kind's.
 */
export class ProxyLimits {
  /** Of a sidecar, or of the application beside us: one connection carries what many would. */
  readonly trusted: ConnectionLimits;
  /** Of a client that shows no certificate on the inbound listener. */
  readonly stranger: ConnectionLimits;
  /** Towards servers. */
  readonly http1Response: Http1Limits;
  readonly http2Response: Http2Options;
  readonly #given: Given;
  readonly #configured = new WeakMap<object, Pick<ProxyLimits, "trusted" | "stranger">>();

  constructor(given: Given = {}) {
    this.#given = given;
    this.trusted = connectionLimits(valuesFor("default", {}, given));
    this.stranger = connectionLimits(valuesFor("stranger", {}, given));
    const { values } = this.trusted;
    this.http1Response = { ...this.trusted.http1, maxHeadBytes: values["http1.maxResponseHeadBytes"] };
    // Servers push nothing and may refuse what they cannot take: their own limit counts.
    this.http2Response = http2Options(values);
  }

  /** For a connection that begins. */
  of(source: LimitedSource): ConnectionLimits {
    const configured = source.chain(source.fixedAuthority)?.limits;
    const kinds = configured === undefined ? this : this.#kinds(configured);
    return source.ownCaller ? kinds.trusted : kinds.stranger;
  }

  #kinds(configured: Given): Pick<ProxyLimits, "trusted" | "stranger"> {
    let kinds = this.#configured.get(configured);
    if (kinds === undefined) {
      kinds = {
        trusted: connectionLimits(valuesFor("default", configured, this.#given)),
        stranger: connectionLimits(valuesFor("stranger", configured, this.#given)),
      };
      this.#configured.set(configured, kinds);
    }
    return kinds;
  }
}

/**
 * Reads limits as users write them, `NAME=VALUE` each; a later one wins. Throws `PROXY_BAD_LIMIT` that says which one is
 * wrong and what it may be.
 */
export function parseLimits(texts: readonly string[]): Given {
  const given: Partial<Record<LimitName, number>> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    const name = (at < 0 ? text : text.slice(0, at)).trim();
    if (!isLimitName(name)) throw badLimit(`there is no limit ${JSON.stringify(name)}; ${nearest(name)}`);
    const { min, max, unit } = definitionOf(name);
    const value = at < 0 ? "" : text.slice(at + 1).trim();
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) {
      const what = UNIT_WORDS[unit];
      throw badLimit(
        `${name} must be a whole number from ${min} to ${max}${what}, not ${JSON.stringify(value)}`,
      );
    }
    given[name] = number;
  }
  return given;
}

const UNIT_WORDS = { count: "", ms: " milliseconds", bytes: " bytes", percent: " percent" } as const;

function isLimitName(name: string): name is LimitName {
  return (LIMIT_NAMES as readonly string[]).includes(name);
}

/** Names that the user may have meant. */
function nearest(name: string): string {
  const word = name.toLowerCase().split(".").at(-1) ?? "";
  const similar = LIMIT_NAMES.filter((known) => word !== "" && known.toLowerCase().includes(word));
  return similar.length > 0
    ? `did you mean ${similar.join(" or ")}?`
    : `the limits are ${LIMIT_NAMES.join(", ")}`;
}

function badLimit(message: string): MeshError {
  return new MeshError("invalid", "PROXY_BAD_LIMIT", message);
}

function valuesFor(kind: "default" | "stranger", configured: Given, given: Given): LimitValues {
  const values: Partial<Record<LimitName, number>> = {};
  for (const name of LIMIT_NAMES) {
    const { min, max, [kind]: standard, default: fallback } = definitionOf(name);
    const wanted = given[name] ?? configured[name] ?? standard ?? fallback;
    values[name] = Math.min(Math.max(wanted, min), max);
  }
  return values as LimitValues;
}

function connectionLimits(values: LimitValues): ConnectionLimits {
  return {
    values,
    idleTimeoutMs: values["connection.idleTimeoutMs"],
    headerTimeoutMs: values["connection.headerTimeoutMs"],
    maxDurationMs: values["connection.maxDurationMs"],
    delayedCloseMs: values["connection.delayedCloseMs"],
    maxBufferedBytes: values["connection.maxBufferedBytes"],
    requestsPerTurn: values["http1.requestsPerTurn"],
    http1: {
      maxHeadBytes: values["http1.maxHeadBytes"],
      maxHeaderCount: values["http1.maxHeaderCount"],
      maxChunkLineBytes: values["http1.maxChunkLineBytes"],
      maxInterimResponses: values["http1.maxInterimResponses"],
    },
    http2: { ...http2Options(values), hostField: true },
  };
}

function http2Options(values: LimitValues): Http2Options {
  const limits: Http2Limits = {
    maxConcurrentStreams: values["http2.maxConcurrentStreams"],
    maxHeaderListBytes: values["http2.maxHeaderListBytes"],
    maxHeaderCount: values["http2.maxHeaderCount"],
    maxCookieCrumbs: values["http2.maxCookieCrumbs"],
    maxFieldBytes: values["http2.maxFieldBytes"],
    maxContinuationFrames: values["http2.maxContinuationFrames"],
    maxEmptyFrames: values["http2.maxEmptyFrames"],
    maxSettingsEntries: values["http2.maxSettingsEntries"],
    maxInterimResponses: values["http2.maxInterimResponses"],
    maxPendingControlFrames: values["http2.maxPendingControlFrames"],
    maxPendingFrames: values["http2.maxPendingFrames"],
    maxControlFramesPerSecond: values["http2.maxControlFramesPerSecond"],
    maxPriorityFramesPerStream: values["http2.maxPriorityFramesPerStream"],
    maxWindowUpdatesPerDataFrame: values["http2.maxWindowUpdatesPerDataFrame"],
    maxResetsPerSecond: values["http2.maxResetsPerSecond"],
    requestsPerTurn: values["http2.requestsPerTurn"],
    framesPerTurn: values["http2.framesPerTurn"],
    prefaceTimeoutMs: values["http2.prefaceTimeoutMs"],
    headerTimeoutMs: values["http2.headerTimeoutMs"],
    settingsTimeoutMs: values["http2.settingsTimeoutMs"],
    stallTimeoutMs: values["http2.stallTimeoutMs"],
  };
  return {
    limits,
    streamWindowBytes: values["http2.streamWindowBytes"],
    connectionWindowBytes: values["http2.connectionWindowBytes"],
    maxOutputBytes: values["http2.maxOutputBytes"],
    headerTableBytes: values["http2.headerTableBytes"],
    maxFrameBytes: values["http2.maxFrameBytes"],
  };
}
