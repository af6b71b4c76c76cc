import type { SnapshotSource } from "@tulle/engine";
import { lowerName, type HeaderList } from "@tulle/http";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";

import type { ExchangeRecord } from "../stream/exchange-record.js";
import type { DecisionRecord, RecordedTry } from "./contract.js";
import { packRecord } from "./packed-record.js";
import { MAX_RECORD_BYTES } from "./record-ring.js";
import { isSecretField, redactPath, redactValue } from "./redact.js";

/** Longest texts and most tries, tried in this order until a record is small enough. */
const CUTS: readonly { readonly text: number; readonly short: number; readonly tries: number }[] = [
  { text: 200, short: 96, tries: 8 },
  { text: 120, short: 64, tries: 3 },
  { text: 64, short: 40, tries: 2 },
  { text: 24, short: 16, tries: 1 },
];

/** Fields that routes seldom look at, or that a record has elsewhere: kept only when all others have found room. */
const COMMON_FIELD =
  /^(accept(-.*)?|user-agent|sec-.*|traceparent|tracestate|x-b3-.*|x-forwarded-.*|x-envoy-.*|content-length|cache-control|pragma|te)$/;
const ELSEWHERE: ReadonlySet<string> = new Set([
  "host",
  "x-request-id",
  "connection",
  "x-envoy-peer-metadata",
]);

/**
 * The record of an exchange that is over, packed, as JSON of Latin-1 characters and at most `MAX_RECORD_BYTES`. `nowMs`:
 * monotonic, when it ended.
 */
export function encodeRecord(
  exchange: ExchangeRecord,
  kept: DecisionRecord["kept"],
  configuration: SnapshotSource,
  nowMs: number,
): string {
  for (const cut of CUTS) {
    const record = recordOf(exchange, kept, configuration, nowMs, cut);
    const bare = latin1(JSON.stringify(packRecord(record)));
    if (bare.length > MAX_RECORD_BYTES) continue;
    const { request } = record;
    const headers = fittingHeaders(exchange.request.headers, MAX_RECORD_BYTES - bare.length, cut.text);
    // The count was 0 in the text that was measured; a digit or two more are left for it.
    return latin1(JSON.stringify(packRecord({ ...record, request: { ...request, ...headers } })));
  }
  return "";
}

function recordOf(
  exchange: ExchangeRecord,
  kept: DecisionRecord["kept"],
  configuration: SnapshotSource,
  nowMs: number,
  cut: (typeof CUTS)[number],
): DecisionRecord {
  const { request, source, chain, provenance } = exchange;
  const short = (text: string): string => cutTo(text, cut.short);
  return {
    requestId: short(exchange.requestId),
    time: Math.round(exchange.startTimeMs),
    durationMs: tenths(exchange.durationMs),
    direction: source.direction,
    kept,
    entropy: exchange.entropy,
    snapshot: exchange.snapshot?.sequence ?? 0,
    versions: versionsOf(exchange, configuration),
    request: {
      method: short(request.method),
      authority: short(request.authority),
      path: cutTo(redactPath(request.path.slice(0, MAX_RECORD_BYTES)), cut.text),
      scheme: request.scheme,
      protocol: exchange.protocol,
      headers: [],
      omittedHeaders: 0,
    },
    local: source.localAddress,
    remote: source.remoteAddress,
    principal: short(source.peerSpiffeId),
    serverName: short(source.serverName),
    listener: short(chain?.name ?? ""),
    route: short(exchange.routeName),
    owner: { config: short(provenance?.config ?? ""), rule: short(provenance?.rule ?? "") },
    cluster: short(exchange.upstreamCluster),
    tries: triesOf(exchange, nowMs - exchange.durationMs, cut.tries),
    attempts: exchange.tries.count,
    response: {
      status: exchange.responseCode,
      flags: short(exchange.responseFlags),
      details: short(exchange.responseCodeDetails),
      grpcStatus: exchange.grpc ? exchange.grpcStatus : -1,
      transportFailure: short(exchange.upstreamTransportFailureReason),
    },
  };
}

/** The newest of the tries that are kept. */
function triesOf({ tries }: ExchangeRecord, startMs: number, most: number): RecordedTry[] {
  return [...tries.kept()].slice(-most).map((each) => ({
    endpoint: each.endpoint,
    at: tenths(each.startMs - startMs),
    ms: tenths(each.durationMs),
    outcome: each.outcome,
    status: each.status,
    detail: cutTo(each.detail, 48),
  }));
}

function versionsOf(
  { chain, cluster, snapshot }: ExchangeRecord,
  configuration: SnapshotSource,
): DecisionRecord["versions"] {
  // Those of today say nothing of what was decided before a change.
  if (snapshot === undefined || snapshot !== configuration.current) return {};
  const of = (key: string, typeUrl: string, name = ""): object => {
    const version = name === "" ? "" : configuration.version(typeUrl, name);
    return version === "" ? {} : { [key]: cutTo(version, 20) };
  };
  return {
    ...of("listener", LISTENER_TYPE, chain?.name),
    ...of("routes", ROUTE_TYPE, chain?.routeConfiguration),
    ...of("cluster", CLUSTER_TYPE, cluster?.name),
    ...of("endpoints", ENDPOINT_TYPE, cluster?.name),
  };
}

/** As many fields as `room` characters of JSON take, those first that routes may look at. */
function fittingHeaders(
  headers: HeaderList,
  room: number,
  maxValue: number,
): { readonly headers: string[]; readonly omittedHeaders: number } {
  const out: string[] = [];
  let omittedHeaders = 0;
  // Room for the count.
  let left = room - 4;
  for (const wantsCommon of [false, true]) {
    for (let i = 0; i < headers.length; i += 2) {
      const name = lowerName(headers[i]!);
      if (ELSEWHERE.has(name) || COMMON_FIELD.test(name) !== wantsCommon) continue;
      const value = isSecretField(name) ? redactValue(name, headers[i + 1]!) : headers[i + 1]!;
      const size = value.length > maxValue ? Infinity : jsonLength(name) + jsonLength(value) + 2;
      if (size > left) {
        omittedHeaders++;
        continue;
      }
      left -= size;
      out.push(name, value);
    }
  }
  return { headers: out, omittedHeaders };
}

function jsonLength(text: string): number {
  return JSON.stringify(text).length;
}

function cutTo(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** A record is written as Latin-1: what is not, which is rare, becomes `?`. The mark of a cut is three dots then. */
function latin1(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll("…", "...").replaceAll(/[^\u0000-\u00ff]/g, "?");
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
