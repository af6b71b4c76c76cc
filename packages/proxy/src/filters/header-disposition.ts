import { HEADER_CASE_FIELD, isHopByHop } from "@tulle/http";

import { DECLINED_UPGRADE_HEADER } from "./declined-upgrade.js";
import { UPSTREAM_FAILURE_HEADER } from "./upstream-failure.js";

/** What happens to a header field on its way through the proxy. */
export const Disposition = {
  /** Forwarded as received. */
  KEEP: 0,
  /** Concerns one connection only: never forwarded. */
  DROP: 1,
  HOST: 2,
  REQUEST_ID: 3,
  FORWARDED_PROTO: 4,
  /** Set by the proxy itself; what a peer sends is not believed. */
  ATTEMPT_COUNT: 5,
  SERVICE_TIME: 6,
  PEER_METADATA: 7,
  CLIENT_CERT: 8,
} as const;

const TABLE: ReadonlyMap<string, number> = new Map([
  ["host", Disposition.HOST],
  ["x-request-id", Disposition.REQUEST_ID],
  ["x-forwarded-proto", Disposition.FORWARDED_PROTO],
  ["x-envoy-attempt-count", Disposition.ATTEMPT_COUNT],
  ["x-envoy-upstream-service-time", Disposition.SERVICE_TIME],
  ["x-envoy-peer-metadata", Disposition.PEER_METADATA],
  ["x-envoy-peer-metadata-id", Disposition.PEER_METADATA],
  ["x-forwarded-client-cert", Disposition.CLIENT_CERT],
  // Internal to Envoy: who could set it would choose what authorization and logs see as the path (CVE-2023-27487).
  ["x-envoy-original-path", Disposition.DROP],
  [UPSTREAM_FAILURE_HEADER, Disposition.DROP],
  [DECLINED_UPGRADE_HEADER, Disposition.DROP],
  // WebSocket's handshake is made anew on every hop that speaks HTTP/1.1.
  ["sec-websocket-key", Disposition.DROP],
  ["sec-websocket-accept", Disposition.DROP],
  // Between sidecars the connection has taken it off by now; this one is an application's.
  [HEADER_CASE_FIELD, Disposition.DROP],
]);

/** What happens to the field `name` (lower-case). */
export function dispositionOf(name: string): number {
  return TABLE.get(name) ?? (isHopByHop(name) ? Disposition.DROP : Disposition.KEEP);
}
