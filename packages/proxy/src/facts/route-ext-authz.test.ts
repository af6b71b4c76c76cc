import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { serveGrpc } from "@tulle/testkit/grpc";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import type { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { Authorization, CheckResponseSchema } from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";
import { RouteExtAuthzSchema } from "@tulle/xds/gen/tulle/ext_authz/v1/route_ext_authz_pb.js";
import { afterEach, expect, test } from "vitest";

import { atEnd, backend, call, closeAll, closedPort, createProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, ms, routes, routeTo } from "../../test/resources.js";

// Routes that say themselves which service is asked about their requests.

afterEach(closeAll);

const MAIN = "outbound|80||main";
const AUTHZ = "outbound|9000||authz";
const FILTER = "tulle.route_ext_authz";
type Check = MessageInitShape<typeof ExtAuthzSchema>;

const GRPC = {
  transportApiVersion: ApiVersion.V3,
  services: {
    case: "grpcService",
    value: {
      targetSpecifier: { case: "envoyGrpc", value: { clusterName: AUTHZ } },
      timeout: ms(2000),
    },
  },
} as const satisfies Check;

const HTTP = {
  decoderHeaderMutationRules: { disallowExpression: { regex: "content-.*" } },
  services: {
    case: "httpService",
    value: {
      serverUri: {
        uri: "http://authz:9000",
        httpUpstreamType: { case: "cluster", value: AUTHZ },
        timeout: ms(2000),
      },
      authorizationResponse: {
        allowedUpstreamHeaders: {
          patterns: [{ matchPattern: { case: "safeRegex", value: { regex: ".*" } } }],
        },
      },
    },
  },
} as const satisfies Check;

function filter(name: string, schema: DescMessage) {
  return {
    name,
    configType: { case: "typedConfig" as const, value: anyPack(schema, create(schema)) },
  };
}

/** A service whose path `/asked` a server on `authzPort` is asked about. */
async function mesh(authzPort: number, check: Check) {
  const served: Record<string, unknown>[] = [];
  const { port: main } = await backend((request, response) => {
    served.push(request.headers);
    response.end("main");
  });
  const proxy = createProxy();
  const asked = {
    ...routeTo(MAIN),
    match: { pathSpecifier: { case: "prefix" as const, value: "/asked" } },
    typedPerFilterConfig: {
      [FILTER]: anyPack(RouteExtAuthzSchema, create(RouteExtAuthzSchema, { check })),
    },
  };
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    cluster(AUTHZ, { http2: check.services?.case === "grpcService" }),
    endpoints(AUTHZ, [{ port: authzPort }]),
    apiListener("main:80", "r", {
      httpFilters: [filter(FILTER, RouteExtAuthzSchema), filter("router", RouterSchema)],
    }),
    routes("r", [asked, routeTo(MAIN)]),
  );
  return { port: await proxy.listen("main:80"), served };
}

test("a route's requests are put to its own service, those of other routes to nobody", async () => {
  const service = await serveGrpc(Authorization.method.check, ({ attributes }) =>
    create(CheckResponseSchema, {
      status: { code: attributes?.request?.http?.headers["x-user"] === undefined ? 16 : 0 },
    }),
  );
  atEnd(() => service.close());
  const { port, served } = await mesh(service.port, GRPC);
  expect((await call(port, "/asked")).status).toBe(403);
  expect(served).toEqual([]);
  expect((await call(port, "/asked", { headers: { "x-user": "alice" } })).status).toBe(200);
  expect((await call(port, "/open")).status).toBe(200);
  expect(service.asked).toHaveLength(2);
});

test("nobody who answers lets nothing pass, and other routes are not touched by that", async () => {
  const { port } = await mesh(await closedPort(), GRPC);
  expect((await call(port, "/asked")).status).toBe(403);
  expect((await call(port, "/open")).status).toBe(200);
});

test("all fields of an HTTP answer go on, but for those that tell of its body, its host and its connection", async () => {
  const { port: authzPort } = await backend((_request, response) => {
    response.writeHead(200, { "x-user": "alice", "content-type": "text/plain", host: "evil" });
    response.end("ok");
  });
  const { port, served } = await mesh(authzPort, HTTP);
  const headers = { host: "main:80", "content-type": "application/json", "x-user": "eve" };
  expect((await call(port, "/asked", { method: "POST", headers, body: "{}" })).status).toBe(200);
  expect(served[0]).toMatchObject({ ...headers, "x-user": "alice", "content-length": "2" });
});
