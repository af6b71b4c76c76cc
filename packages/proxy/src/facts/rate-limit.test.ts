import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { eventually } from "@tulle/testkit";
import { serveGrpc, type GrpcAnswer } from "@tulle/testkit/grpc";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  RateLimitPerRouteSchema,
  RateLimitPerRoute_VhRateLimitsOptions as VhRateLimits,
  RateLimitSchema,
  RateLimit_XRateLimitHeadersRFCVersion as LimitHeaders,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  RateLimitResponseSchema,
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
  RateLimitService,
} from "@tulle/xds/gen/envoy/service/ratelimit/v3/rls_pb.js";
import { afterEach, expect, test } from "vitest";

import { atEnd, backend, call, closeAll, closedPort, createProxy } from "../../test/harness.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  type RouteInit,
} from "../../test/resources.js";

afterEach(closeAll);

const MAIN = "outbound|80||main";
const RLS = "outbound|8081||rls";
type Config = MessageInitShape<typeof RateLimitSchema>;
type Answer = GrpcAnswer<typeof RateLimitService.method.shouldRateLimit>;

const CONFIG = {
  domain: "shop",
  timeout: ms(2000),
  rateLimitService: {
    transportApiVersion: ApiVersion.V3,
    grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: RLS } } },
  },
} as const satisfies Config;

const user = {
  actionSpecifier: { case: "requestHeaders", value: { headerName: "X-User", descriptorKey: "user" } },
};
const fixed = {
  actionSpecifier: { case: "genericKey", value: { descriptorKey: "plan", descriptorValue: "free" } },
};

function filter<Desc extends DescMessage>(name: string, schema: Desc, init: MessageInitShape<Desc>) {
  return { name, configType: { case: "typedConfig" as const, value: anyPack(schema, create(schema, init)) } };
}

async function mesh(rlsPort: number, config: Config, route: Partial<RouteInit> = {}) {
  const served: Record<string, unknown>[] = [];
  const { port: main } = await backend((request, response) => {
    served.push(request.headers);
    response.end("main");
  });
  const proxy = createProxy();
  const action = { rateLimits: [{ actions: [fixed, user] }] };
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    cluster(RLS, { http2: true }),
    endpoints(RLS, [{ port: rlsPort }]),
    apiListener("main:80", "r", {
      httpFilters: [
        filter("limit", RateLimitSchema, config),
        filter("router", RouterSchema as DescMessage, {}),
      ],
    }),
    routes("r", [{ ...routeTo(MAIN, action), ...route } as RouteInit], ["*"], {
      rateLimits: [{ actions: [{ actionSpecifier: { case: "destinationCluster", value: {} } }] }],
    }),
  );
  return { proxy, served, port: await proxy.listen("main:80") };
}

async function limiter(answer: () => Answer | Promise<Answer>) {
  const service = await serveGrpc(RateLimitService.method.shouldRateLimit, answer);
  atEnd(() => service.close());
  return service;
}

const ALICE = { headers: { "x-user": "alice" } };

test("the service is told the domain and the request's descriptors, and what it adds goes on", async () => {
  const service = await limiter(() =>
    create(RateLimitResponseSchema, {
      overallCode: Code.OK,
      statuses: [
        {
          code: Code.OK,
          currentLimit: { requestsPerUnit: 10, unit: Unit.MINUTE, name: 'a"b' },
          limitRemaining: 7,
          durationUntilReset: { seconds: 12n, nanos: 1 },
        },
        {
          code: Code.OK,
          currentLimit: { requestsPerUnit: 5, unit: Unit.HOUR, name: "hourly" },
          limitRemaining: 4,
        },
      ],
      requestHeadersToAdd: [
        { key: "x-plan", value: "free" },
        { key: "Host", value: "evil" },
      ],
      responseHeadersToAdd: [{ key: "x-left", value: "some" }],
    }),
  );
  const { port, served } = await mesh(service.port, {
    ...CONFIG,
    enableXRatelimitHeaders: LimitHeaders.DRAFT_VERSION_03,
  });
  const answer = await call(port, "/", { headers: { ...ALICE.headers, host: "main:80" } });
  expect(answer).toMatchObject({
    status: 200,
    headers: {
      "x-left": "some",
      "x-ratelimit-limit": '5, 10;w=60, 5;w=3600;name="hourly"',
      "x-ratelimit-remaining": "4",
      "x-ratelimit-reset": "0",
    },
  });
  expect(served[0]).toMatchObject({ "x-plan": "free", host: "main:80" });
  const [asked] = service.asked;
  expect(asked!.domain).toBe("shop");
  expect(asked!.descriptors.map(({ entries }) => entries.map(({ key, value }) => [key, value]))).toEqual([
    [
      ["plan", "free"],
      ["user", "alice"],
    ],
  ]);
  // Without the header there is no descriptor, and nobody is asked.
  expect((await call(port)).status).toBe(200);
  expect(service.asked).toHaveLength(1);
});

test("a request beyond a limit is refused", async () => {
  const service = await limiter(() =>
    create(RateLimitResponseSchema, {
      overallCode: Code.OVER_LIMIT,
      rawBody: Buffer.from("slow down"),
      responseHeadersToAdd: [{ key: "retry-after", value: "9" }],
    }),
  );
  const { port, served, proxy } = await mesh(service.port, {
    ...CONFIG,
    rateLimitedStatus: { code: 420 as never },
  });
  expect(await call(port, "/", ALICE)).toMatchObject({
    status: 420,
    body: "slow down",
    headers: { "x-envoy-ratelimited": "true", "retry-after": "9" },
  });
  expect(served).toEqual([]);
  await eventually(() => proxy.log().some((line) => line.includes(" 420 RL request_rate_limited ")));
  const metrics = proxy.metricsText();
  expect(metrics).toContain('tulle_rate_limit_checks_total{limit="shop",outcome="over_limit"} 1');
  expect(metrics).toContain('tulle_rate_limited_requests_total{limit="shop",enforced="true"} 1');
});

test.each<[string, Answer | "never"]>([
  ["fails", { code: 14, details: "down" }],
  ["never answers", "never"],
  ["says nothing", create(RateLimitResponseSchema, {})],
  [
    "answers what no message can carry",
    create(RateLimitResponseSchema, {
      overallCode: Code.OK,
      requestHeadersToAdd: [{ key: "a", value: "b\r\nc: d" }],
    }),
  ],
])("a service that %s lets requests pass, unless it fails closed", async (_name, given) => {
  const service = await limiter(() => (given === "never" ? new Promise<never>(() => undefined) : given));
  const open = await mesh(service.port, { ...CONFIG, timeout: ms(200) });
  expect((await call(open.port, "/", ALICE)).status).toBe(200);
  const closed = await mesh(service.port, { ...CONFIG, timeout: ms(200), failureModeDeny: true });
  expect((await call(closed.port, "/", ALICE)).status).toBe(500);
  expect(closed.served).toEqual([]);
  await eventually(() => closed.proxy.log().some((line) => line.includes(" 500 RLSE rate_limiter_error ")));
});

test("nobody listens: the status that is configured", async () => {
  const { port } = await mesh(await closedPort(), {
    ...CONFIG,
    failureModeDeny: true,
    statusOnError: { code: 503 },
  });
  expect((await call(port, "/", ALICE)).status).toBe(503);
});

test("a route says which limits of its host count too, and another domain", async () => {
  const service = await limiter(() => create(RateLimitResponseSchema, { overallCode: Code.OK }));
  const limits = create(RateLimitPerRouteSchema, { vhRateLimits: VhRateLimits.INCLUDE, domain: "other" });
  const { port } = await mesh(service.port, CONFIG, {
    typedPerFilterConfig: { limit: anyPack(RateLimitPerRouteSchema, limits) },
  });
  await call(port, "/", ALICE);
  expect(service.asked[0]).toMatchObject({
    domain: "other",
    descriptors: [{}, { entries: [{ value: MAIN }] }],
  });
});

test.each<[Config, string]>([
  [{ ...CONFIG, domain: "" }, "domain: must not be empty"],
  [{ ...CONFIG, timeout: ms(0) }, "timeout: must be above zero"],
  [{ ...CONFIG, requestType: "internal" }, "request_type: must be both"],
  [{ domain: "a" }, "rate_limit_service.transport_api_version: must be V3"],
])("a filter that cannot be carried out is refused by field (#%#)", (config, expected) => {
  const listener = apiListener("main:80", "r", {
    httpFilters: [
      filter("limit", RateLimitSchema, config),
      filter("router", RouterSchema as DescMessage, {}),
    ],
  });
  expect(() => createProxy().apply(listener)).toThrow(expected);
});
