import type { Any } from "@bufbuild/protobuf/wkt";
import {
  CorsPolicySchema,
  CorsSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { CorsPolicy } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { HeaderList } from "@tulle/http";
import type {
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  HeaderMutation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { saltOf } from "../entropy.js";
import { compileFraction, type FractionTest } from "../route/fraction.js";
import { headerValue } from "../route/header-value.js";
import { compileStringTest, type StringTest } from "../route/string-test.js";
import { unpack } from "../snapshot/any.js";
import { at } from "../snapshot/invalid.js";
import type { FilterKind } from "./filter-kind.js";

/** `envoy.filters.http.cors`: a chain has the filter, its routes the policies. */
export const corsKind: FilterKind = {
  type: CorsSchema.typeName,
  routeType: CorsPolicySchema.typeName,
  compile: () => undefined,
  compileRoute: compileCors,
};

const NAME = "CORS";

interface CorsSettings {
  readonly origins: readonly StringTest[];
  readonly enabled: FractionTest | undefined;
  /** Of every answer to an origin that is allowed. */
  readonly credentials: boolean;
  readonly expose: string;
  /** Further fields of the answer to a preflight. */
  readonly preflight: HeaderList;
  readonly privateNetwork: boolean;
  /** Preflights of origins that are not allowed go to the service. */
  readonly forwardUnmatched: boolean;
}

function compileCors(field: string, any: Any, place: string): AdmissionStep | undefined {
  const policy = unpack(field, any, CorsPolicySchema);
  const enabled = policy.filterEnabled;
  return new CorsStep({
    origins: policy.allowOriginStringMatch.map((matcher, index) =>
      compileStringTest(at(field, `allow_origin_string_match[${index}]`), matcher),
    ),
    enabled:
      enabled === undefined
        ? undefined
        : compileFraction(at(field, "filter_enabled"), enabled, saltOf(`${place}/cors`)),
    credentials: policy.allowCredentials ?? false,
    expose: policy.exposeHeaders,
    preflight: preflightFields(policy),
    privateNetwork: policy.allowPrivateNetworkAccess ?? false,
    forwardUnmatched: policy.forwardNotMatchingPreflights ?? true,
  });
}

function preflightFields({ allowMethods, allowHeaders, maxAge }: CorsPolicy): HeaderList {
  const fields: HeaderList = [];
  if (allowMethods !== "") fields.push("access-control-allow-methods", allowMethods);
  if (allowHeaders !== "") fields.push("access-control-allow-headers", allowHeaders);
  if (maxAge !== "") fields.push("access-control-max-age", maxAge);
  return fields;
}

/** Answers preflights, and tells browsers on responses which pages may read them (https://fetch.spec.whatwg.org). */
class CorsStep implements AdmissionStep {
  readonly #settings: CorsSettings;

  constructor(settings: CorsSettings) {
    this.#settings = settings;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, { request }: Facts): StepAdmission | undefined {
    const origin = headerValue(request.headers, "origin");
    if (origin === undefined || origin === "") return undefined;
    const { enabled } = this.#settings;
    if (enabled !== undefined && !enabled(view.entropy, view.snapshot.runtime)) return undefined;
    const allowed = this.#allows(origin);
    const preflight =
      request.method === "OPTIONS" &&
      headerValue(request.headers, "access-control-request-method") !== undefined;
    view.trace?.add({
      step: "filter",
      subject: NAME,
      verdict: allowed ? "chosen" : "passed-over",
      reason: `${preflight ? "preflight from" : "request from"} ${origin}, which is ${allowed ? "" : "not "}among allowOrigins`,
      owner: plan.provenance,
    });
    if (!preflight) return allowed ? { kind: "mutate", response: this.#onResponses(origin) } : undefined;
    if (!allowed) return this.#settings.forwardUnmatched ? undefined : answer([]);
    return answer(this.#preflightAnswer(origin, request));
  }

  #allows(origin: string): boolean {
    // "*" as a text stands for every origin.
    return this.#settings.origins.some((test) => test(origin) || test("*"));
  }

  #onResponses(origin: string): HeaderMutation[] {
    const { credentials, expose } = this.#settings;
    const mutations: HeaderMutation[] = [
      { op: "set", name: "access-control-allow-origin", value: origin },
      // The answer differs by origin: what one page got must not be another one's from a cache.
      { op: "append", name: "vary", value: "Origin" },
    ];
    if (credentials) mutations.push({ op: "set", name: "access-control-allow-credentials", value: "true" });
    if (expose !== "") mutations.push({ op: "set", name: "access-control-expose-headers", value: expose });
    return mutations;
  }

  #preflightAnswer(origin: string, { headers }: EngineRequest): HeaderList {
    const { credentials, preflight, privateNetwork } = this.#settings;
    const fields: HeaderList = ["access-control-allow-origin", origin];
    if (credentials) fields.push("access-control-allow-credentials", "true");
    if (privateNetwork && headerValue(headers, "access-control-request-private-network") === "true") {
      fields.push("access-control-allow-private-network", "true");
    }
    fields.push(...preflight, "vary", "Origin");
    return fields;
  }
}

function answer(headers: HeaderList): StepAdmission {
  return { kind: "reply", status: 200, body: "", headers, flag: "", details: "cors_response" };
}
