import type { HttpConnectionManager } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/** How a proxy tells, in the Proxy-Status field (RFC 9209) of its own error answers, what went wrong. */
export interface ProxyStatusSettings {
  /** How it names itself; "" = its own default. */
  readonly name: string;
  /** It names itself by its node id. */
  readonly useNodeId: boolean;
  /** Whether `details` are told, and what they hold beside Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: boolean;
  readonly connectionTermination: boolean;
  readonly responseFlags: boolean;
  /** Whether the answer's status becomes the one that RFC 9209 recommends for the error. */
  readonly recommendedStatus: boolean;
}

/** Envoy's `proxy_status_config`; undefined when there is none. */
export function compileProxyStatus({
  proxyStatusConfig: config,
}: HttpConnectionManager): ProxyStatusSettings | undefined {
  if (config === undefined) return undefined;
  const { proxyName } = config;
  return {
    name: proxyName.case === "literalProxyName" ? proxyName.value : "",
    useNodeId: proxyName.case === "useNodeId" && proxyName.value,
    details: !config.removeDetails,
    connectionTermination: !config.removeConnectionTerminationDetails,
    responseFlags: !config.removeResponseFlags,
    recommendedStatus: config.setRecommendedResponseCode,
  };
}
