import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { ExtAuthz } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RouteExtAuthzSchema } from "@tulle/xds/gen/tulle/ext_authz/v1/route_ext_authz_pb.js";
import { expect, test } from "vitest";
import { clientOf } from "../../testdata/decide.js";
import { REVIEWS, routeYaml, shop, SHOP_CLIENT, to } from "../../testdata/gateway-api.js";
import { listener, mesh, objectsOf, targetsOf } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { NOBODY } from "../names.js";
import { translate } from "../translate.js";
import { routeParents } from "./route-status.js";

const ASKED = "outbound|9080||reviews-v2.shop.svc.cluster.local";
const GRPC = `{type: ExternalAuth, externalAuth: {protocol: GRPC, grpc: {}, backendRef: ${to("reviews-v2")}}}`;
const http = (more: string, settings = ""): string =>
  `{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: ${to("reviews-v2")}, http: {${settings}}${more}}}`;
const guarded = (filters: string, more = ""): string =>
  routeYaml(`[{filters: [${filters}], backendRefs: [${to("reviews-v1")}]${more}}]`);

function routesOf(yaml: string, view: ClientView = SHOP_CLIENT) {
  const at = mesh(shop(), yaml);
  const [name] = targetsOf(listener(at, view, REVIEWS)).routes;
  const { resource } = translate(at.reader, view, ROUTE_TYPE, name!);
  return fromBinary(RouteConfigurationSchema, resource!.bytes).virtualHosts[0]!.routes;
}

function checkOf(yaml: string): ExtAuthz {
  const any = routesOf(yaml)[0]!.typedPerFilterConfig["tulle.route_ext_authz"]!;
  return anyUnpack(any, RouteExtAuthzSchema)!.check!;
}

const status = (yaml: string) => {
  const [route] = objectsOf(yaml);
  return routeParents(mesh(shop(), yaml).reader, route!)?.[0]?.conditions.map(
    ({ type, status: of, reason }) => [type, of, reason].join(" "),
  );
};

test("a gRPC service is told everything, or the fields that are named, and fails closed", () => {
  expect(checkOf(guarded(GRPC))).toMatchObject({
    failureModeAllow: false,
    statPrefix: "shop/reviews",
    services: {
      case: "grpcService",
      value: { targetSpecifier: { value: { clusterName: ASKED } }, timeout: { seconds: 5n } },
    },
  });
  expect(checkOf(guarded(GRPC)).allowedHeaders).toBeUndefined();
  const named = guarded(
    GRPC.replace("grpc: {}", "grpc: {allowedHeaders: [X-User]}, forwardBody: {maxSize: 9}"),
  );
  expect(checkOf(named)).toMatchObject({
    allowedHeaders: { patterns: [{ matchPattern: { case: "exact", value: "X-User" }, ignoreCase: true }] },
    withRequestBody: { maxRequestBytes: 9, allowPartialMessage: false, packAsBytes: true },
  });
});

test("an HTTP service is asked below its path, and its fields go on with the request but for those of its body", () => {
  expect(checkOf(guarded(http("", "path: /check/")))).toMatchObject({
    decoderHeaderMutationRules: { disallowExpression: { regex: "content-.*" } },
    services: {
      value: {
        pathPrefix: "/check",
        authorizationResponse: {
          allowedUpstreamHeaders: { patterns: [{ matchPattern: { case: "safeRegex" } }] },
        },
      },
    },
  });
  const named = checkOf(guarded(http(", forwardBody: {maxSize: 0}", "allowedResponseHeaders: [x-user]")));
  expect(named.withRequestBody).toBeUndefined();
  expect(named).toMatchObject({
    services: {
      value: {
        authorizationResponse: {
          allowedUpstreamHeaders: { patterns: [{ matchPattern: { case: "exact", value: "x-user" } }] },
        },
      },
    },
  });
});

test("a rule whose service cannot be asked lets nothing pass, and its status says so", () => {
  for (const [yaml, reason] of [
    [guarded(GRPC.replace("reviews-v2", "nobody")), "BackendNotFound"],
    [guarded(GRPC.replace("reviews-v2", "reviews-v2, namespace: other")), "BackendNotFound"],
    [guarded(GRPC.replace("name: reviews-v2", "name: x, kind: Secret")), "InvalidKind"],
  ] as const) {
    expect(clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS).decide()).toMatchObject({ status: 500 });
    expect(status(yaml)).toEqual(
      expect.arrayContaining([`ResolvedRefs False ${reason}`, "Accepted False UnsupportedValue"]),
    );
  }
  expect(status(guarded(GRPC))).toEqual(["Accepted True Accepted", "ResolvedRefs True ResolvedRefs"]);
});

test("a redirect is guarded as well; of several backends none has a service of its own", () => {
  const redirect = routeYaml(
    `[{filters: [${GRPC}, {type: RequestRedirect, requestRedirect: {hostname: a.example.com}}]}]`,
  );
  expect(checkOf(redirect).services.case).toBe("grpcService");
  expect(
    checkOf(routeYaml(`[{backendRefs: [${to("reviews-v1", `filters: [${GRPC}]`)}]}]`)).services.case,
  ).toBe("grpcService");
  const split = routeYaml(`[{backendRefs: [${to("reviews-v1", `filters: [${GRPC}]`)}, ${to("reviews")}]}]`);
  expect(clientOf(mesh(shop(), split), SHOP_CLIENT, REVIEWS).decide()).toMatchObject({ status: 500 });
});

test("calls of proxyless clients, which can ask nobody, fail", () => {
  const [route] = routesOf(guarded(GRPC), { ...SHOP_CLIENT, dialect: "grpc" });
  expect(route).toMatchObject({ action: { value: { clusterSpecifier: { value: NOBODY } } } });
});
