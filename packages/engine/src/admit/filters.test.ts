import type { MessageInitShape } from "@bufbuild/protobuf";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import {
  CorsPolicySchema,
  CorsSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { ConnectionResetSchema } from "@tulle/xds/gen/tulle/fault/v1/connection_reset_pb.js";
import { SourceIdentitySchema } from "@tulle/xds/gen/tulle/ratelimit/v1/source_identity_pb.js";
import { describe, expect, test } from "vitest";
import type { Admission, EngineRequest, Facts, Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import {
  change,
  edsCluster,
  endpoints,
  manager,
  packed,
  request,
  ROUTER,
  routeTo,
} from "../testing/resources.js";
import { AdmissionProgress } from "./admission-progress.js";
import { admit } from "./admit.js";

type Table = MessageInitShape<typeof RouteConfigurationSchema>;
type FilterInit = readonly [name: string, config: ReturnType<typeof packed>];

const ALWAYS = { numerator: 100 };
const HOUR = { seconds: 3600n };

/** A listener with filters and one virtual host. */
function chainOf(filters: readonly FilterInit[], host: object, own: object = {}) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const http = manager({
    httpFilters: [
      ...filters.map(([name, value]) => ({ name, configType: { case: "typedConfig" as const, value } })),
      ROUTER,
    ],
    routeSpecifier: { case: "rds", value: { routeConfigName: "r" } },
  });
  const table = {
    name: "r",
    virtualHosts: [{ name: "all", domains: ["*"], routes: [{ ...routeTo("a"), ...own }], ...host }],
  } as Table;
  const rejections = source.apply([
    change(LISTENER_TYPE, "l", ListenerSchema, { name: "l", apiListener: { apiListener: http } }),
    change(ROUTE_TYPE, "r", RouteConfigurationSchema, table),
    edsCluster("a"),
    endpoints("a", [{ address: "10.0.0.1" }]),
  ]);
  const ask = (
    init: Partial<EngineRequest> = {},
    more: { readonly entropy?: number; readonly now?: number } & Partial<Facts> = {},
  ): { readonly admission: Admission; readonly progress: AdmissionProgress } => {
    const { entropy = 1, now = 1000, ...facts } = more;
    const view = { snapshot: source.current, load, now, entropy };
    const chain = source.current.outbound("l") as HttpChain;
    const asked = request(init);
    const plan = route(view, chain, asked) as Plan;
    const progress = new AdmissionProgress();
    const admission = admit(
      view,
      chain,
      plan,
      { request: asked, principal: undefined, remoteAddress: "10.0.0.9:4000", ...facts },
      progress,
    );
    return { admission, progress };
  };
  return { rejections: rejections.map(({ message }) => message), ask, load };
}

const FAULT = "envoy.filters.http.fault";

function faulty(fault: MessageInitShape<typeof HTTPFaultSchema>) {
  return chainOf(
    [[FAULT, packed(HTTPFaultSchema)]],
    {},
    {
      typedPerFilterConfig: { [FAULT]: packed(HTTPFaultSchema, fault) },
    },
  );
}

describe("faults", () => {
  const delay = {
    faultDelaySecifier: { case: "fixedDelay", value: { seconds: 2n } },
    percentage: ALWAYS,
  } as const;
  const abort = { errorType: { case: "httpStatus", value: 503 }, percentage: ALWAYS } as const;

  test("a delay comes first, and the abort after it", () => {
    const { ask } = faulty({ delay, abort });
    const { admission, progress } = ask();
    expect(admission).toMatchObject({ kind: "delay", ms: 2000, flag: "DI" });
    expect(progress.pending).toMatchObject({
      kind: "reply",
      status: 503,
      flag: "FI",
      details: "fault_filter_abort",
    });
  });

  test("a share of the requests meets the fault", () => {
    const { ask } = faulty({ abort: { ...abort, percentage: { numerator: 10 } } });
    let aborted = 0;
    for (let entropy = 0; entropy < 2000; entropy++) {
      if (ask({}, { entropy }).admission.kind === "reply") aborted++;
    }
    expect(aborted).toBeGreaterThan(140);
    expect(aborted).toBeLessThan(260);
  });

  test("without a percentage there is no fault", () => {
    const { ask } = faulty({ abort: { errorType: { case: "httpStatus", value: 503 } } });
    expect(ask().admission.kind).toBe("continue");
  });

  test.each<[string, MessageInitShape<typeof HTTPFaultSchema>, string[], boolean]>([
    ["cluster", { upstreamCluster: "a" }, [], true],
    ["other cluster", { upstreamCluster: "b" }, [], false],
    ["node", { downstreamNodes: ["n"] }, ["x-envoy-downstream-service-node", "n"], true],
    ["other node", { downstreamNodes: ["n"] }, ["x-envoy-downstream-service-node", "m"], false],
    [
      "header",
      { headers: [{ name: "x", headerMatchSpecifier: { case: "presentMatch", value: true } }] },
      ["X", "1"],
      true,
    ],
    [
      "no header",
      { headers: [{ name: "x", headerMatchSpecifier: { case: "presentMatch", value: true } }] },
      [],
      false,
    ],
  ])("conditions choose who meets it: %s", (_name, conditions, headers, meets) => {
    const { ask } = faulty({ abort, ...(conditions as object) });
    expect(ask({ headers }).admission.kind).toBe(meets ? "reply" : "continue");
  });

  test("headers say what to inject where they are let", () => {
    const { ask } = faulty({
      delay: { faultDelaySecifier: { case: "headerDelay", value: {} }, percentage: ALWAYS },
      abort: { errorType: { case: "headerAbort", value: {} }, percentage: ALWAYS },
      responseRateLimit: { limitType: { case: "headerLimit", value: {} }, percentage: ALWAYS },
    });
    expect(ask().admission.kind).toBe("continue");
    expect(ask({ headers: ["x-envoy-fault-delay-request", "250"] }).admission).toMatchObject({ ms: 250 });
    expect(ask({ headers: ["x-envoy-fault-abort-request", "429"] }).admission).toMatchObject({ status: 429 });
    expect(ask({ headers: ["x-envoy-fault-abort-grpc-request", "5"] }).admission).toMatchObject({
      status: 404,
      grpcStatus: 5,
    });
    expect(ask({ headers: ["x-envoy-fault-throughput-response", "2"] }).progress.responseBytesPerSecond).toBe(
      2048,
    );
    const lowered = ["x-envoy-fault-abort-request", "429", "x-envoy-fault-abort-request-percentage", "0"];
    expect(ask({ headers: lowered }).admission.kind).toBe("continue");
  });

  test("no more than max_active_faults are injected at once", () => {
    const { ask, load } = faulty({ delay, maxActiveFaults: 1 });
    expect(ask().admission.kind).toBe("delay");
    load.addActiveFaults(1);
    expect(ask().admission.kind).toBe("continue");
  });

  test.each<[MessageInitShape<typeof HTTPFaultSchema>, string]>([
    [
      { abort: { errorType: { case: "httpStatus", value: 99 }, percentage: ALWAYS } },
      "abort.http_status: must be between",
    ],
    [{ abort: { percentage: ALWAYS } }, "abort: must set one of"],
    [{ delay: { percentage: ALWAYS } }, "delay.fixed_delay: must be above zero"],
    [{ abortHttpStatusRuntime: "k", abort }, "abort_http_status_runtime: is not supported"],
    [{ responseRateLimit: { percentage: ALWAYS } }, "response_rate_limit: must set one of"],
  ])("a fault that cannot be carried out is refused by field (#%#)", (fault, expected) => {
    expect(faulty(fault).rejections.join("\n")).toContain(expected);
  });

  test("a connection is reset at once, or after some bytes of the response", () => {
    const of = (reset: MessageInitShape<typeof ConnectionResetSchema>) =>
      chainOf([["reset", packed(ConnectionResetSchema)]], {
        typedPerFilterConfig: { reset: packed(ConnectionResetSchema, reset) },
      });
    expect(of({ percentage: ALWAYS }).ask().admission).toMatchObject({ kind: "reset", flag: "FI" });
    expect(of({ percentage: ALWAYS, afterResponseBytes: 7n }).ask().progress.resetAfterBytes).toBe(7);
    expect(of({}).ask().admission.kind).toBe("continue");
  });
});

describe("CORS", () => {
  const exact = (value: string) => ({ matchPattern: { case: "exact" as const, value } });
  const cors = (policy: MessageInitShape<typeof CorsPolicySchema>) =>
    chainOf([["cors", packed(CorsSchema)]], {
      typedPerFilterConfig: {
        cors: packed(CorsPolicySchema, {
          allowOriginStringMatch: [exact("https://a")],
          ...(policy as object),
        }),
      },
    });
  const preflight = (origin: string, ...more: string[]) => ({
    method: "OPTIONS",
    headers: ["Origin", origin, "Access-Control-Request-Method", "PUT", ...more],
  });

  test.each<
    [string, MessageInitShape<typeof CorsPolicySchema>, Partial<EngineRequest>, string[] | undefined]
  >([
    [
      "an allowed origin",
      {},
      preflight("https://a"),
      ["access-control-allow-origin", "https://a", "vary", "Origin"],
    ],
    [
      "any origin",
      { allowOriginStringMatch: [exact("*")] },
      preflight("https://b"),
      ["access-control-allow-origin", "https://b", "vary", "Origin"],
    ],
    ["another origin", {}, preflight("https://b"), undefined],
    [
      "another origin that is not forwarded",
      { forwardNotMatchingPreflights: false },
      preflight("https://b"),
      [],
    ],
    [
      "OPTIONS without a method to ask for",
      {},
      { method: "OPTIONS", headers: ["origin", "https://a"] },
      undefined,
    ],
    [
      "everything",
      {
        allowMethods: "PUT",
        allowHeaders: "x",
        maxAge: "60",
        allowCredentials: true,
        allowPrivateNetworkAccess: true,
      },
      preflight("https://a", "Access-Control-Request-Private-Network", "true"),
      [
        "access-control-allow-origin",
        "https://a",
        "access-control-allow-credentials",
        "true",
        "access-control-allow-private-network",
        "true",
        "access-control-allow-methods",
        "PUT",
        "access-control-allow-headers",
        "x",
        "access-control-max-age",
        "60",
        "vary",
        "Origin",
      ],
    ],
  ])("a preflight of %s", (_name, policy, asked, headers) => {
    const { admission } = cors(policy).ask(asked);
    if (headers === undefined) expect(admission.kind).toBe("continue");
    else expect(admission).toMatchObject({ kind: "reply", status: 200, headers });
  });

  test("responses are marked for allowed origins only", () => {
    const { ask } = cors({ exposeHeaders: "x", allowCredentials: true });
    expect(ask({ headers: ["origin", "https://a"] }).progress.response.map(({ name }) => name)).toEqual([
      "access-control-allow-origin",
      "vary",
      "access-control-allow-credentials",
      "access-control-expose-headers",
    ]);
    expect(ask({ headers: ["origin", "https://b"] }).progress.response).toEqual([]);
    expect(ask().progress.response).toEqual([]);
  });

  test("a share of none is nobody", () => {
    const { ask } = cors({ filterEnabled: { defaultValue: { numerator: 0 } } });
    expect(ask(preflight("https://a")).admission.kind).toBe("continue");
  });
});

describe("local rate limits", () => {
  const bucket = (maxTokens: number) => ({ maxTokens, tokensPerFill: maxTokens, fillInterval: HOUR });
  const enforced = {
    statPrefix: "limit",
    filterEnabled: { defaultValue: ALWAYS },
    filterEnforced: { defaultValue: ALWAYS },
  };
  type Init = MessageInitShape<typeof LocalRateLimitSchema>;
  const limited = (config: Init, host: object = {}) =>
    chainOf([["rl", packed(LocalRateLimitSchema, { ...enforced, ...(config as object) })]], host);

  test("the bucket gives out its tokens, then requests are refused", () => {
    const { ask } = limited({ tokenBucket: bucket(2), enableXRatelimitHeaders: 1 });
    expect(ask().progress.response).toContainEqual({ op: "set", name: "x-ratelimit-remaining", value: "1" });
    expect(ask().admission.kind).toBe("continue");
    expect(ask().admission).toMatchObject({
      kind: "reply",
      status: 429,
      body: "local_rate_limited",
      flag: "RL",
      details: "local_rate_limited",
      headers: [
        "content-type",
        "text/plain",
        "retry-after",
        "1800",
        "x-ratelimit-limit",
        "2",
        "x-ratelimit-remaining",
        "0",
        "x-ratelimit-reset",
        "3600",
      ],
      limited: { name: "limit", enforced: true },
    });
    expect(ask({}, { now: 1000 + 1_800_000 }).admission.kind).toBe("continue");
  });

  test("status, fields and gRPC status are what is asked for", () => {
    const { ask } = limited({
      tokenBucket: bucket(1),
      status: { code: 503 },
      rateLimitedAsResourceExhausted: true,
      responseHeadersToAdd: [{ header: { key: "x-limited", value: "yes" } }],
    });
    ask();
    const { admission } = ask();
    expect(admission).toMatchObject({ status: 503, grpcStatus: 8 });
    expect("headers" in admission && admission.headers.slice(-2)).toEqual(["x-limited", "yes"]);
  });

  test("a limit that is not enforced marks the request and counts", () => {
    const { ask } = limited({
      tokenBucket: bucket(1),
      filterEnforced: { defaultValue: { numerator: 0 } },
      requestHeadersToAddWhenNotEnforced: [{ header: { key: "x-over", value: "1" } }],
    });
    expect(ask().progress.request).toEqual([]);
    const { admission, progress } = ask();
    expect(admission.kind).toBe("continue");
    expect(progress.request).toMatchObject([{ name: "x-over" }]);
    expect(progress.limited).toEqual([{ name: "limit", enforced: false }]);
  });

  test("nothing is limited unless filter_enabled says so", () => {
    const { ask } = limited({ tokenBucket: bucket(1), filterEnabled: undefined } as unknown as Init);
    expect([ask().admission.kind, ask().admission.kind]).toEqual(["continue", "continue"]);
  });

  test("each connection may have a bucket of its own", () => {
    const { ask } = limited({ tokenBucket: bucket(1), localRateLimitPerDownstreamConnection: true });
    const from = (remoteAddress: string) => ask({}, { remoteAddress }).admission.kind;
    expect([from("a:1"), from("a:1"), from("a:2")]).toEqual(["continue", "reply", "continue"]);
  });

  const entries = (...list: [string, string][]) => list.map(([key, value]) => ({ key, value }));
  const action = (actionSpecifier: object) => ({ rateLimits: [{ actions: [{ actionSpecifier }] }] });

  test.each<
    [
      string,
      object,
      [string, string],
      Partial<EngineRequest> & Partial<Facts>,
      Partial<EngineRequest> & Partial<Facts>,
    ]
  >([
    [
      "a header",
      { case: "requestHeaders", value: { headerName: "X-User", descriptorKey: "user" } },
      ["user", "ann"],
      { headers: ["x-user", "ann"] },
      { headers: ["x-user", "bob"] },
    ],
    ["a key", { case: "genericKey", value: { descriptorValue: "v" } }, ["generic_key", "v"], {}, {}],
    [
      "a condition",
      {
        case: "headerValueMatch",
        value: {
          descriptorValue: "posts",
          headers: [
            {
              name: ":method",
              headerMatchSpecifier: {
                case: "stringMatch",
                value: { matchPattern: { case: "exact", value: "POST" } },
              },
            },
          ],
        },
      },
      ["header_match", "posts"],
      { method: "POST" },
      { method: "GET" },
    ],
    ["the cluster", { case: "destinationCluster", value: {} }, ["destination_cluster", "a"], {}, {}],
    [
      "the client's address",
      { case: "remoteAddress", value: {} },
      ["remote_address", ""],
      { remoteAddress: "c:1" },
      { remoteAddress: "d:1" },
    ],
    [
      "the client's identity",
      { case: "extension", value: { name: "s", typedConfig: packed(SourceIdentitySchema) } },
      ["source_identity", ""],
      { principal: "spiffe://a" },
      { principal: "spiffe://b" },
    ],
  ])("a descriptor with %s has a bucket of its own", (_name, specifier, entry, same, other) => {
    const config = { descriptors: [{ entries: entries(entry), tokenBucket: bucket(1) }] };
    const { ask, rejections } = limited(config, action(specifier));
    expect(rejections).toEqual([]);
    const kind = ({ principal, remoteAddress, ...init }: typeof same): string =>
      ask(init, {
        ...(principal === undefined ? {} : { principal }),
        ...(remoteAddress === undefined ? {} : { remoteAddress }),
      }).admission.kind;
    expect([kind(same), kind(same)]).toEqual(["continue", "reply"]);
    if (other !== same && JSON.stringify(other) !== JSON.stringify(same))
      expect(kind(other)).toBe("continue");
  });

  test("identities may have a bucket, or none, by name; and clients without one share theirs", () => {
    const by = (config: object) => ({
      case: "extension",
      value: { name: "s", typedConfig: packed(SourceIdentitySchema, config) },
    });
    const config = { descriptors: [{ entries: entries(["source_identity", ""]), tokenBucket: bucket(1) }] };
    const kinds = (settings: object, principals: readonly (string | undefined)[]): string[] => {
      const { ask } = limited(config, action(by(settings)));
      return principals.map(
        (principal) => ask({}, principal === undefined ? {} : { principal }).admission.kind,
      );
    };
    expect(kinds({ only: ["spiffe://a"] }, ["spiffe://a", "spiffe://a", "spiffe://b", "spiffe://b"])).toEqual(
      ["continue", "reply", "continue", "continue"],
    );
    expect(
      kinds({ except: ["spiffe://a"] }, ["spiffe://a", "spiffe://a", "spiffe://b", "spiffe://b"]),
    ).toEqual(["continue", "continue", "continue", "reply"]);
    expect(kinds({}, [undefined, undefined])).toEqual(["continue", "continue"]);
    expect(kinds({ unidentified: "nobody" }, [undefined, "spiffe://a", undefined])).toEqual([
      "continue",
      "continue",
      "reply",
    ]);
  });

  test("the default bucket counts for described requests too, unless told otherwise", () => {
    const config = {
      tokenBucket: bucket(1),
      descriptors: [{ entries: entries(["generic_key", "v"]), tokenBucket: bucket(5) }],
    };
    const described = action({ case: "genericKey", value: { descriptorValue: "v" } });
    const always = limited(config, described);
    expect([always.ask().admission.kind, always.ask().admission.kind]).toEqual(["continue", "reply"]);
    const apart = limited({ ...config, alwaysConsumeDefaultTokenBucket: false }, described);
    expect([apart.ask().admission.kind, apart.ask().admission.kind]).toEqual(["continue", "continue"]);
  });

  test.each<[Init, string]>([
    [{ statPrefix: "" }, "stat_prefix: must not be empty"],
    [{ tokenBucket: { maxTokens: 0, fillInterval: HOUR } }, "token_bucket.max_tokens: must be at least 1"],
    [{ tokenBucket: { maxTokens: 1 } }, "token_bucket.fill_interval: must be above zero"],
    [{ descriptors: [{ entries: [] }] }, "descriptors[0].entries: must not be empty"],
    [{ localClusterRateLimit: {} }, "local_cluster_rate_limit: is not supported"],
  ])("a limit that cannot be carried out is refused by field (#%#)", (config, expected) => {
    expect(limited(config).rejections.join("\n")).toContain(expected);
  });

  test("an action that is not known is refused", () => {
    const { rejections } = limited({ tokenBucket: bucket(1) }, action({ case: "sourceCluster", value: {} }));
    expect(rejections.join("\n")).toContain("rate_limits[0].actions[0]: must be one of");
  });
});
