import { HEADER_CASE_FIELD, isHopByHop, lowerName } from "@tulle/http";

import { DECLINED_UPGRADE_HEADER } from "./declined-upgrade.js";
import { UPSTREAM_FAILURE_HEADER } from "./upstream-failure.js";

/** What happens to a header field on its way through the proxy. */
export const Disposition = {
  /** Forwarded as received. */
  KEEP: 0,
  /** Concerns one connection only: never forwarded. */
  DROP: 1,
  /** As `DROP`, and its value names fields of which the same holds. */
  CONNECTION: 2,
  /** As `DROP`, unless gRPC depends on it. */
  TE: 3,
  HOST: 4,
  REQUEST_ID: 5,
  FORWARDED_PROTO: 6,
  /** Set by the proxy itself; what a peer sends is not believed. */
  ATTEMPT_COUNT: 7,
  SERVICE_TIME: 8,
  PEER_METADATA: 9,
  PEER_METADATA_ID: 10,
  CLIENT_CERT: 11,
  /** Forwarded as received, and of interest. */
  CONTENT_TYPE: 12,
  GRPC_TIMEOUT: 13,
  /** How long the caller waits: told anew on every hop. */
  EXPECTED_TIMEOUT: 14,
  /** Tells the proxy how to carry a request: goes no further. */
  CONTROL: 15,
  /** Told by the sidecar of a verified caller, which rewrote the path. Believed from nobody else. */
  ORIGINAL_PATH: 16,
  /** The proxies' own, of which a client outside the mesh has none to send. */
  INTERNAL: 17,
  FORWARDED_FOR: 18,
} as const;

const TABLE: ReadonlyMap<string, number> = new Map([
  ["connection", Disposition.CONNECTION],
  ["te", Disposition.TE],
  ["host", Disposition.HOST],
  ["x-request-id", Disposition.REQUEST_ID],
  ["x-forwarded-proto", Disposition.FORWARDED_PROTO],
  ["x-envoy-attempt-count", Disposition.ATTEMPT_COUNT],
  ["x-envoy-upstream-service-time", Disposition.SERVICE_TIME],
  ["x-envoy-peer-metadata", Disposition.PEER_METADATA],
  ["x-envoy-peer-metadata-id", Disposition.PEER_METADATA_ID],
  ["x-forwarded-client-cert", Disposition.CLIENT_CERT],
  ["x-forwarded-for", Disposition.FORWARDED_FOR],
  ["content-type", Disposition.CONTENT_TYPE],
  ["grpc-timeout", Disposition.GRPC_TIMEOUT],
  ["x-envoy-is-timeout-retry", Disposition.ATTEMPT_COUNT],
  ["x-envoy-expected-rq-timeout-ms", Disposition.EXPECTED_TIMEOUT],
  ["x-envoy-upstream-rq-timeout-ms", Disposition.CONTROL],
  ["x-envoy-upstream-rq-per-try-timeout-ms", Disposition.CONTROL],
  ["x-envoy-upstream-rq-timeout-alt-response", Disposition.CONTROL],
  ["x-envoy-max-retries", Disposition.CONTROL],
  ["x-envoy-retry-on", Disposition.CONTROL],
  ["x-envoy-retry-grpc-on", Disposition.CONTROL],
  ["x-envoy-retriable-status-codes", Disposition.CONTROL],
  ["x-envoy-retriable-header-names", Disposition.CONTROL],
  ["x-envoy-hedge-on-per-try-timeout", Disposition.CONTROL],
  // Internal to Envoy: who could set it would choose what authorization and logs see as the path (CVE-2023-27487).
  ["x-envoy-original-path", Disposition.ORIGINAL_PATH],
  [UPSTREAM_FAILURE_HEADER, Disposition.DROP],
  [DECLINED_UPGRADE_HEADER, Disposition.DROP],
  // WebSocket's handshake is made anew on every hop that speaks HTTP/1.1.
  ["sec-websocket-key", Disposition.DROP],
  ["sec-websocket-accept", Disposition.DROP],
  // Between sidecars the connection has taken it off by now; this one is an application's.
  [HEADER_CASE_FIELD, Disposition.DROP],
]);

const MAX_KNOWN = 4096;
const MAX_KNOWN_LENGTH = 64;
/** By name as spelt. Starts again when full: names that a peer invents cost time and no memory. */
const known = new Map<string, number>();

/** What happens to fields called `name`, in any spelling. One look-up for a name seen before. */
export function dispositionOf(name: string): number {
  return known.get(name) ?? learn(name);
}

/** What the names of fields begin with that proxies tell each other. */
const INTERNAL_PREFIXES = ["x-envoy-", "x-tulle-", "x-istio-"];

function otherDisposition(name: string): number {
  if (isHopByHop(name)) return Disposition.DROP;
  return INTERNAL_PREFIXES.some((prefix) => name.startsWith(prefix))
    ? Disposition.INTERNAL
    : Disposition.KEEP;
}

function learn(name: string): number {
  const lower = lowerName(name);
  const disposition = TABLE.get(lower) ?? otherDisposition(lower);
  if (name.length > MAX_KNOWN_LENGTH) return disposition;
  if (known.size >= MAX_KNOWN) known.clear();
  // A name cut from a head would keep that head alive.
  known.set(Buffer.from(name, "latin1").toString("latin1"), disposition);
  return disposition;
}
