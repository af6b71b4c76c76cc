import { formatAddress } from "@tulle/base";
import { NO_SLOT, type EndpointPart } from "@tulle/engine";

import type { ListenAddress } from "../options.js";

/** Where a caller was going, as an endpoint: nothing is known of it, so nothing is counted. */
export function originalEndpoint({ host, port }: ListenAddress): EndpointPart {
  return {
    key: formatAddress(host, port),
    host,
    port,
    slot: NO_SLOT,
    tls: undefined,
    overHttp2: undefined,
    http2: false,
    proxyProtocol: undefined,
    proxyTlvs: undefined,
    perClient: false,
    hostname: "",
    weight: 1,
    healthy: true,
    workload: undefined,
  };
}
