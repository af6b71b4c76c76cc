import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GlobalDescriptor, GlobalEntry, MeshObject, RateLimitSpec } from "@tulle/api";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  RateLimitSchema as RouteRateLimitSchema,
  type HeaderMatcher,
  type RateLimit as RouteRateLimit,
  type RateLimit_ActionSchema,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  RateLimitSchema,
  RateLimit_XRateLimitHeadersRFCVersion as LimitHeaders,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { SourceIdentitySchema } from "@tulle/xds/gen/tulle/ratelimit/v1/source_identity_pb.js";
import { askedService } from "./asked-service.js";
import { durationOf, durationOfText } from "./duration.js";
import { RATE_LIMIT } from "./kinds.js";
import { packed } from "./messages.js";
import { limitFilterName, matchersOf, type TranslatedRateLimit } from "./rate-limit-parts.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

/** Envoy's. */
const DEFAULT_TIMEOUT_MS = 20;
/** Envoy's stages are 0 to 10. Local limits have stage 0; each global one has one of its own, that it is told only its own. */
const MAX_STAGE = 10;

/** A RateLimit that a service counts; undefined when there are too many of them. */
export function globalRateLimit(
  t: Translation,
  object: MeshObject<RateLimitSpec>,
): TranslatedRateLimit | undefined {
  const { spec, metadata } = object;
  const { global } = spec;
  if (global === undefined) return undefined;
  const id = `${metadata.namespace}/${metadata.name}`;
  const stage = stageOf(t, object);
  if (stage > MAX_STAGE) {
    t.warn(`RateLimit ${id}: the mesh has over ${MAX_STAGE} global limits; it is left out`);
    return undefined;
  }
  const { cluster, authority } = askedService(t, global, metadata.namespace, `RateLimit ${id}`);
  const timeout =
    global.timeout === undefined ? durationOf(DEFAULT_TIMEOUT_MS) : durationOfText(global.timeout);
  const filter = create(RateLimitSchema, {
    domain: global.domain,
    stage,
    timeout,
    failureModeDeny: global.failClosed ?? false,
    rateLimitedAsResourceExhausted: spec.grpcStatus !== "UNAVAILABLE",
    rateLimitedStatus: { code: spec.status ?? 429 },
    enableXRatelimitHeaders: spec.tellsLimits === false ? LimitHeaders.OFF : LimitHeaders.DRAFT_VERSION_03,
    statPrefix: id,
    rateLimitService: {
      transportApiVersion: ApiVersion.V3,
      grpcService: {
        targetSpecifier: { case: "envoyGrpc", value: { clusterName: cluster, authority } },
        timeout,
      },
    },
  });
  const sources = global.descriptors.flatMap((descriptor, index) => {
    const made = sourceOf(t, descriptor, stage, `RateLimit ${id} global.descriptors[${index}]`);
    return made === undefined ? [] : [made];
  });
  return { name: limitFilterName(metadata), filter, sources };
}

/** Its place among the mesh's global limits, from 1. */
function stageOf(t: Translation, { metadata: { namespace, name } }: MeshObject): number {
  const global = t.objects<RateLimitSpec>(RATE_LIMIT).filter(({ spec }) => spec.global !== undefined);
  const place = [...global]
    .sort(byAge)
    .findIndex(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  return place + 1;
}

function sourceOf(
  t: Translation,
  { match, entries }: GlobalDescriptor,
  stage: number,
  where: string,
): RouteRateLimit | undefined {
  const headers = match === undefined ? [] : matchersOf(t, match, where);
  if (headers === undefined) return undefined;
  const carrier = entries.findIndex(({ value }) => value !== undefined);
  return create(RouteRateLimitSchema, {
    stage,
    actions: entries.map((entry, index) => actionOf(entry, index === carrier ? headers : [])),
  });
}

/** `headers`: conditions that go with this entry. */
function actionOf(
  { key = "", value, header, source }: GlobalEntry,
  headers: HeaderMatcher[],
): MessageInitShape<typeof RateLimit_ActionSchema> {
  if (value !== undefined) {
    const fixed = { descriptorKey: key, descriptorValue: value };
    return headers.length === 0
      ? { actionSpecifier: { case: "genericKey", value: fixed } }
      : { actionSpecifier: { case: "headerValueMatch", value: { ...fixed, headers } } };
  }
  if (header !== undefined) {
    const named = { headerName: header.toLowerCase(), descriptorKey: key };
    return { actionSpecifier: { case: "requestHeaders", value: named } };
  }
  if (source === "CLIENT_ADDRESS") return { actionSpecifier: { case: "remoteAddress", value: {} } };
  const identity = { name: "tulle.source_identity", typedConfig: packed(SourceIdentitySchema) };
  return { actionSpecifier: { case: "extension", value: identity } };
}
