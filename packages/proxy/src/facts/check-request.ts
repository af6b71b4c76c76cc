import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { EngineRequest, ExtAuthzNeed } from "@tulle/engine";
import { lowerName, type HeaderList } from "@tulle/http";
import { AddressSchema, type Address } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";
import {
  HeaderMapSchema,
  HeaderValueSchema,
  MetadataSchema,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  AttributeContext_HttpRequestSchema,
  type AttributeContext_HttpRequest,
} from "@tulle/xds/gen/envoy/service/auth/v3/attribute_context_pb.js";
import {
  CheckRequestSchema,
  type CheckRequest,
} from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";

import { RequestFields, upstreamRequestHeaders } from "../filters/request-headers.js";
import type { RequestBody } from "../stream/request-body.js";
import type { AskingSource, FactAsker } from "./contract.js";

/** Whether all of the body is shown. */
export const PARTIAL_BODY_HEADER = "x-envoy-auth-partial-body";

/** What is shown of a request's body; undefined = nothing was asked for. */
export interface ShownBody {
  readonly bytes: Buffer;
  readonly partial: boolean;
}

/** What a need asks for of the body that is here. */
export function shownBody({ body }: ExtAuthzNeed, held: RequestBody): ShownBody | undefined {
  if (body === undefined) return undefined;
  const bytes = Buffer.concat(held.kept, Math.min(held.heldBytes, body.maxBytes));
  return { bytes, partial: held.expected && (!held.done || held.heldBytes > body.maxBytes) };
}

/**
 * The fields of a request that a service may be told: as they would go on to the application, without what routes them.
 * Names are lower-case.
 */
export function shownHeaders({ record, request }: FactAsker, tells: (name: string) => boolean): HeaderList {
  const { source, requestId } = record;
  const fields = new RequestFields();
  fields.scan(request.headers);
  const sent = upstreamRequestHeaders(request.headers, fields, {
    direction: "inbound",
    host: "",
    requestId,
    scheme: request.scheme,
    attempt: 1,
    timeoutRetry: false,
    timeForTryMs: 0,
    peerMetadata: "",
    forwardedClientCert: source.forwardedClientCert,
    forwardedFor: source.forwardedFor,
    mutations: [],
  });
  const shown: HeaderList = [];
  for (let index = 0; index < sent.length; index += 2) {
    const name = lowerName(sent[index]!);
    if (name !== "host" && name !== "expect" && tells(name)) shown.push(name, sent[index + 1]!);
  }
  return shown;
}

/** `CheckRequest` of a request, as Envoy fills it. */
export function checkRequest(need: ExtAuthzNeed, asker: FactAsker): CheckRequest {
  const { record, request } = asker;
  const { source } = record;
  const body = shownBody(need, asker.body);
  const headers = shownHeaders(asker, need.tells);
  if (body !== undefined) headers.push(PARTIAL_BODY_HEADER, String(body.partial));
  return create(CheckRequestSchema, {
    attributes: {
      ...connectionAttributes(need, source),
      request: {
        time: timestampFromMs(record.startTimeMs),
        http: httpRequest(need, asker, headers, body),
      },
      contextExtensions: { ...need.contextExtensions },
      metadataContext: metadataOf(need, request),
    },
  });
}

/** `CheckRequest` of a connection that carries bytes. */
export function connectionCheckRequest(
  need: ExtAuthzNeed,
  source: AskingSource,
  startTimeMs: number,
): CheckRequest {
  return create(CheckRequestSchema, {
    attributes: {
      ...connectionAttributes(need, source),
      request: { time: timestampFromMs(startTimeMs) },
    },
  });
}

function connectionAttributes({ tellsServerName }: ExtAuthzNeed, source: AskingSource) {
  const { remoteAddress, localAddress, peerSpiffeId, serverName } = source;
  return {
    source: { address: addressOf(remoteAddress), principal: peerSpiffeId },
    destination: { address: addressOf(localAddress) },
    ...(tellsServerName && serverName !== "" ? { tlsSession: { sni: serverName } } : {}),
  };
}

function httpRequest(
  need: ExtAuthzNeed,
  { record, request, body: held }: FactAsker,
  headers: HeaderList,
  body: ShownBody | undefined,
): AttributeContext_HttpRequest {
  const { method, path, scheme } = request;
  const { host } = record.request;
  const all = [":method", method, ":path", path, ":authority", host, ":scheme", scheme, ...headers];
  return create(AttributeContext_HttpRequestSchema, {
    id: record.requestId,
    method,
    path,
    host,
    scheme,
    size: BigInt(held.expected ? held.contentLength : 0),
    protocol: record.protocol,
    ...(need.rawHeaders ? { headerMap: rawHeaders(all) } : { headers: joinedHeaders(all) }),
    ...(body === undefined
      ? {}
      : need.packAsBytes
        ? { rawBody: body.bytes }
        : // What is not UTF-8 cannot be a text: it is told with U+FFFD in its place.
          { body: body.bytes.toString("utf8") }),
  });
}

/** Several fields of a name are told as one, none left out (CVE-2021-32777 was the last one alone). */
function joinedHeaders(headers: HeaderList): Record<string, string> {
  const joined = new Map<string, string>();
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    const value = Buffer.from(headers[index + 1]!, "latin1").toString("utf8");
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(joined);
}

function rawHeaders(headers: HeaderList) {
  const values = [];
  for (let index = 0; index < headers.length; index += 2)
    values.push(
      create(HeaderValueSchema, {
        key: headers[index]!,
        rawValue: Buffer.from(headers[index + 1]!, "latin1"),
      }),
    );
  return create(HeaderMapSchema, { headers: values });
}

function metadataOf({ metadataNamespaces }: ExtAuthzNeed, { metadata }: EngineRequest) {
  const known = metadataNamespaces.flatMap((namespace) => {
    const value = metadata?.get(namespace);
    return value === undefined ? [] : [[namespace, value] as const];
  });
  return create(MetadataSchema, { filterMetadata: Object.fromEntries(known) });
}

/** `host:port`, an IPv6 address in brackets. */
function addressOf(text: string): Address {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(text.slice(colon + 1));
  return create(AddressSchema, {
    address: {
      case: "socketAddress",
      value: {
        address: host,
        portSpecifier: { case: "portValue", value: Number.isInteger(port) ? port : 0 },
      },
    },
  });
}
