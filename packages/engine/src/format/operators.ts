import type { JsonValue } from "@bufbuild/protobuf";
import { isCommandOperator, type CommandOperator } from "@tulle/base";
import type { HeaderList } from "@tulle/http";
import { sameName } from "../route/header-value.js";
import type { FormatSource, Reader } from "./format-source.js";
import { compileTimeFormat } from "./time-format.js";

const READERS: Readonly<
  Record<Exclude<CommandOperator, "REQ" | "REQ_WITHOUT_QUERY" | "RESP" | "DYNAMIC_METADATA">, Reader>
> = {
  START_TIME: (e) => new Date(e.startTimeMs).toISOString(),
  PROTOCOL: (e) => e.protocol,
  RESPONSE_CODE: (e) => String(e.responseCode),
  RESPONSE_FLAGS: (e) => e.responseFlags,
  RESPONSE_CODE_DETAILS: (e) => e.responseCodeDetails,
  CONNECTION_TERMINATION_DETAILS: (e) => e.connectionTerminationDetails,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (e) => e.upstreamTransportFailureReason,
  BYTES_RECEIVED: (e) => String(e.bytesReceived),
  BYTES_SENT: (e) => String(e.bytesSent),
  DURATION: (e) => String(Math.round(e.durationMs)),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (e) => String(e.attemptCount),
  UPSTREAM_HOST: (e) => e.upstreamHost,
  UPSTREAM_REMOTE_ADDRESS: (e) => e.upstreamHost,
  UPSTREAM_CLUSTER: (e) => e.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (e) => e.upstreamCluster,
  UPSTREAM_LOCAL_ADDRESS: (e) => e.upstreamLocalAddress,
  DOWNSTREAM_LOCAL_ADDRESS: (e) => e.downstreamLocalAddress,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (e) => hostOf(e.downstreamLocalAddress),
  DOWNSTREAM_LOCAL_PORT: (e) => portOf(e.downstreamLocalAddress),
  DOWNSTREAM_REMOTE_ADDRESS: (e) => e.downstreamRemoteAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (e) => hostOf(e.downstreamRemoteAddress),
  DOWNSTREAM_REMOTE_PORT: (e) => portOf(e.downstreamRemoteAddress),
  DOWNSTREAM_PEER_URI_SAN: (e) => e.downstreamPeerUriSan,
  REQUESTED_SERVER_NAME: (e) => e.requestedServerName,
  ROUTE_NAME: (e) => e.routeName,
  STREAM_ID: (e) => e.requestId,
};

const PSEUDO: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [":method", (e) => e.method],
  [":path", (e) => e.path],
  [":authority", (e) => e.authority],
  [":scheme", (e) => e.scheme],
  // The proxy may have made it: then it is not among the fields received.
  ["x-request-id", (e) => e.requestId],
]);

/** The reader of an Envoy command operator; undefined when it is not known. */
export function operatorReader(name: string, argument: string): Reader | undefined {
  if (!isCommandOperator(name)) return undefined;
  switch (name) {
    case "REQ":
    case "REQ_WITHOUT_QUERY":
      return headerReader(argument, (source) => source.requestHeaders, true, name === "REQ_WITHOUT_QUERY");
    case "RESP":
      return headerReader(argument, (source) => source.responseHeaders, false, false);
    case "DYNAMIC_METADATA":
      return metadataReader(argument);
    case "START_TIME":
      return argument === "" ? READERS.START_TIME : compileTimeFormat(argument);
    default:
      return READERS[name];
  }
}

/** `namespace:key:key`: text as it is, anything else as JSON. */
function metadataReader(argument: string): Reader {
  const [namespace = "", ...keys] = argument.split(":");
  return ({ metadata }) => {
    let value: JsonValue | undefined = metadata?.get(namespace);
    for (const key of keys) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return "";
      value = Object.hasOwn(value, key) ? value[key] : undefined;
    }
    return value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  };
}

/** `X?Y`: the header X, or Y when there is no X. */
function headerReader(
  argument: string,
  headers: (source: FormatSource) => HeaderList,
  pseudo: boolean,
  withoutQuery: boolean,
): Reader {
  const names = argument.toLowerCase().split("?").slice(0, 2);
  return (source) => {
    for (const name of names) {
      const value = (pseudo ? PSEUDO.get(name)?.(source) : undefined) ?? firstOf(headers(source), name);
      if (value === "") continue;
      const query = withoutQuery ? value.indexOf("?") : -1;
      return query < 0 ? value : value.slice(0, query);
    }
    return "";
  };
}

function firstOf(headers: HeaderList, lower: string): string {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (sameName(headers[i]!, lower)) return headers[i + 1]!;
  }
  return "";
}

function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}

function portOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? "" : address.slice(colon + 1);
}
