import type { Any } from "@bufbuild/protobuf/wkt";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  RateLimitPerRouteSchema,
  RateLimitPerRoute_OverrideOptions as OverrideOptions,
  RateLimitPerRoute_VhRateLimitsOptions as VhRateLimits,
  RateLimitSchema,
  RateLimit_XRateLimitHeadersRFCVersion as LimitHeaders,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import type { AdmissionStep, StepVariant } from "../contract.js";
import { compileLiteralMutations } from "../route/header-mutations.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { FilterKind } from "./filter-kind.js";
import { GlobalRateLimitStep, type GlobalRateLimitSettings } from "./global-rate-limit-step.js";
import { askTimeoutMs, compileGrpcService } from "./grpc-service.js";

/** `envoy.filters.http.ratelimit`: a service counts for everybody. */
export const globalRateLimitKind: FilterKind = {
  type: RateLimitSchema.typeName,
  routeType: RateLimitPerRouteSchema.typeName,
  compile: compileGlobalRateLimit,
  compileRoute: compileRouteSettings,
};

/** Envoy's default. */
const DEFAULT_TIMEOUT_MS = 20;
const TOO_MANY_REQUESTS = 429;
const INTERNAL_ERROR = 500;
const MAX_STAGE = 10;

function compileGlobalRateLimit(field: string, any: Any): AdmissionStep {
  const config = unpack(field, any, RateLimitSchema);
  if (config.domain === "") throw invalid(at(field, "domain"), "must not be empty");
  if (config.stage > MAX_STAGE) throw invalid(at(field, "stage"), `must be at most ${MAX_STAGE}`);
  if (config.requestType !== "" && config.requestType !== "both")
    throw invalid(at(field, "request_type"), "must be both: who is internal is not known here");
  const service = config.rateLimitService;
  if (service?.transportApiVersion !== ApiVersion.V3)
    throw invalid(at(field, "rate_limit_service.transport_api_version"), "must be V3");
  const timeout = at(field, "timeout");
  const timeoutMs = askTimeoutMs(timeout, durationMs(timeout, config.timeout) ?? DEFAULT_TIMEOUT_MS);
  const asked = compileGrpcService(
    at(field, "rate_limit_service.grpc_service"),
    service.grpcService,
    timeoutMs,
  );
  const status: number = config.rateLimitedStatus?.code ?? TOO_MANY_REQUESTS;
  const statusOnError: number = config.statusOnError?.code ?? INTERNAL_ERROR;
  const clusterName = asked.way.settings.clusterName;
  return new GlobalRateLimitStep({
    need: {
      kind: "rate-limit",
      name: config.statPrefix === "" ? config.domain : config.statPrefix,
      asks: `rate limit service ${clusterName} (domain ${config.domain})`,
      ...asked,
      timeoutMs,
      domain: config.domain,
    },
    stage: config.stage,
    hostLimits: "override",
    status: status < 400 ? TOO_MANY_REQUESTS : status,
    exhausted: config.rateLimitedAsResourceExhausted,
    tellsLimits: config.enableXRatelimitHeaders === LimitHeaders.DRAFT_VERSION_03,
    tellsRefusal: !config.disableXEnvoyRatelimitedHeader,
    failClosed: config.failureModeDeny,
    statusOnError: statusOnError < 400 ? INTERNAL_ERROR : statusOnError,
    onLimited: compileLiteralMutations(field, {
      requestHeadersToAdd: [],
      requestHeadersToRemove: [],
      responseHeadersToAdd: config.responseHeadersToAdd,
      responseHeadersToRemove: [],
    }).response,
  });
}

function compileRouteSettings(field: string, any: Any): StepVariant {
  const { vhRateLimits, overrideOption, rateLimits, domain } = unpack(field, any, RateLimitPerRouteSchema);
  if (overrideOption !== OverrideOptions.DEFAULT)
    throw invalid(at(field, "override_option"), "is not supported: use vh_rate_limits");
  if (rateLimits.length > 0)
    throw invalid(at(field, "rate_limits"), "is not supported: use rate_limits of the route");
  const hostLimits =
    vhRateLimits === VhRateLimits.INCLUDE
      ? "include"
      : vhRateLimits === VhRateLimits.IGNORE
        ? "ignore"
        : "override";
  return new RouteVariant(hostLimits, domain);
}

/** What a route says of the limits, over what the chain says. */
class RouteVariant implements StepVariant {
  readonly #hostLimits: GlobalRateLimitSettings["hostLimits"];
  readonly #domain: string;
  readonly #made = new WeakMap<AdmissionStep, AdmissionStep>();

  constructor(hostLimits: GlobalRateLimitSettings["hostLimits"], domain: string) {
    this.#hostLimits = hostLimits;
    this.#domain = domain;
  }

  variantOf(own: AdmissionStep): AdmissionStep {
    if (!(own instanceof GlobalRateLimitStep)) return own;
    const known = this.#made.get(own);
    if (known !== undefined) return known;
    const { settings } = own;
    const made = new GlobalRateLimitStep({
      ...settings,
      hostLimits: this.#hostLimits,
      need: this.#domain === "" ? settings.need : { ...settings.need, domain: this.#domain },
    });
    this.#made.set(own, made);
    return made;
  }
}
