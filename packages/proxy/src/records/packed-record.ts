import type { DecisionRecord } from "./contract.js";
import type { TryOutcome } from "./try-log.js";

// A record as it is kept: values without their names, which would take half of the room. Written and read by this
// process alone, so the order is nobody else's business.

type Versions = DecisionRecord["versions"];

type PackedTry = [
  endpoint: string,
  at: number,
  ms: number,
  outcome: TryOutcome | "",
  status: number,
  detail: string,
];

export type PackedRecord = [
  requestId: string,
  time: number,
  durationMs: number,
  direction: DecisionRecord["direction"],
  kept: DecisionRecord["kept"],
  entropy: number,
  snapshot: number,
  versions: [listener: string, routes: string, cluster: string, endpoints: string],
  method: string,
  authority: string,
  path: string,
  scheme: "http" | "https",
  protocol: string,
  local: string,
  remote: string,
  principal: string,
  serverName: string,
  listener: string,
  route: string,
  config: string,
  rule: string,
  cluster: string,
  tries: PackedTry[],
  attempts: number,
  status: number,
  flags: string,
  details: string,
  grpcStatus: number,
  transportFailure: string,
  omittedHeaders: number,
  headers: readonly string[],
];

export function packRecord(record: DecisionRecord): PackedRecord {
  const { request, versions, owner, response } = record;
  return [
    record.requestId,
    record.time,
    record.durationMs,
    record.direction,
    record.kept,
    record.entropy,
    record.snapshot,
    [versions.listener ?? "", versions.routes ?? "", versions.cluster ?? "", versions.endpoints ?? ""],
    request.method,
    request.authority,
    request.path,
    request.scheme,
    request.protocol,
    record.local,
    record.remote,
    record.principal,
    record.serverName,
    record.listener,
    record.route,
    owner.config,
    owner.rule,
    record.cluster,
    record.tries.map(({ endpoint, at, ms, outcome, status, detail }) => [
      endpoint,
      at,
      ms,
      outcome,
      status,
      detail,
    ]),
    record.attempts,
    response.status,
    response.flags,
    response.details,
    response.grpcStatus,
    response.transportFailure,
    request.omittedHeaders,
    request.headers,
  ];
}

export function unpackRecord(packed: PackedRecord): DecisionRecord {
  const [requestId, time, durationMs, direction, kept, entropy, snapshot, versions, method, ...second] =
    packed;
  const [authority, path, scheme, protocol, local, remote, principal, serverName, listener, ...third] =
    second;
  const [route, config, rule, cluster, tries, attempts, status, flags, details, ...last] = third;
  const [grpcStatus, transportFailure, omittedHeaders, headers] = last;
  return {
    requestId,
    time,
    durationMs,
    direction,
    kept,
    entropy,
    snapshot,
    versions: namedVersions(versions),
    request: { method, authority, path, scheme, protocol, headers, omittedHeaders },
    local,
    remote,
    principal,
    serverName,
    listener,
    route,
    owner: { config, rule },
    cluster,
    tries: tries.map(([endpoint, at, ms, outcome, of, detail]) => ({
      endpoint,
      at,
      ms,
      outcome,
      status: of,
      detail,
    })),
    attempts,
    response: { status, flags, details, grpcStatus, transportFailure },
  };
}

function namedVersions(list: PackedRecord[7]): Versions {
  const [listener, routes, cluster, endpoints] = list;
  const named = Object.entries({ listener, routes, cluster, endpoints }).filter(
    ([, version]) => version !== "",
  );
  return Object.fromEntries(named);
}
