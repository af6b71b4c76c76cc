import { ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { routeYaml, SHOP_CLIENT, shop, to } from "../../testdata/gateway-api.js";
import { instance, made, mesh, routesOf, type TestMesh } from "../../testdata/mesh.js";

const NAME = "reviews.shop.svc.cluster.local:9080";
const RULES = `[{backendRefs: [${to("reviews-v1")}]}]`;

type Annotations = Readonly<Record<string, string>>;

/** The route's action, and whether its conditions count as said. */
function routed(at: TestMesh, view = SHOP_CLIENT) {
  const [route] = routesOf(at, view, NAME);
  if (route?.action.case !== "route") throw new Error("no route");
  return { action: route.action.value, marks: route.metadata?.filterMetadata["tulle.dev"] };
}

const annotated = (annotations: Annotations, options: { kind?: string; rules?: string } = {}): TestMesh => {
  const { rules = RULES, ...more } = options;
  return mesh(shop(), routeYaml(rules, { ...more, annotations }));
};

const warnings = (at: TestMesh): readonly string[] => made(at, SHOP_CLIENT, ROUTE_TYPE, NAME).warnings;

const service = (labels: Annotations, yaml = ""): TestMesh =>
  mesh(
    shop().map((each) => instance({ ...each, labels })),
    yaml,
  );

test("statuses, ranges and words of an HTTPRoute are conditions that somebody said, with one retry", () => {
  const at = annotated({ "retry.linkerd.io/http": "gateway-error, 500-501,429" });
  const { action, marks } = routed(at);
  expect(action.retryPolicy).toMatchObject({
    numRetries: 1,
    retryOn: "connect-failure,refused-stream,reset-before-request,gateway-error,retriable-status-codes",
    retriableStatusCodes: [500, 501, 429],
  });
  expect(marks).toMatchObject({ retryOnStated: true });
  expect(warnings(at)).toEqual([]);
});

test("a retry timeout bounds each try, and the limit counts retries", () => {
  const { action } = routed(
    annotated({
      "retry.linkerd.io/http": "5xx",
      "retry.linkerd.io/limit": "3",
      "retry.linkerd.io/timeout": "300ms",
    }),
  );
  expect(action.retryPolicy).toMatchObject({ numRetries: 3, perTryTimeout: { nanos: 300_000_000 } });
  expect(action.retryPolicy?.retryOn).toMatch(/,5xx,reset$/);
});

test("gRPC statuses of a GRPCRoute", () => {
  const at = annotated({ "retry.linkerd.io/grpc": "unavailable,internal" }, { kind: "GRPCRoute" });
  expect(routed(at).action.retryPolicy?.retryOn).toMatch(/,unavailable,internal$/);
  const proxyless = routed(at, { ...SHOP_CLIENT, dialect: "grpc" }).action.retryPolicy;
  expect(proxyless).toMatchObject({ retryOn: "unavailable,internal", numRetries: 1 });
});

test("request, response and idle timeouts are the whole stream's, the answer's and the idle one's", () => {
  const at = annotated({
    "timeout.linkerd.io/request": "5s",
    "timeout.linkerd.io/response": "2s",
    "timeout.linkerd.io/idle": "1s",
  });
  expect(routed(at).action).toMatchObject({
    maxStreamDuration: { maxStreamDuration: { seconds: 5n } },
    timeout: { seconds: 2n },
    idleTimeout: { seconds: 1n },
  });
  const proxyless = routed(at, { ...SHOP_CLIENT, dialect: "grpc" }).action;
  expect(proxyless.maxStreamDuration?.maxStreamDuration).toMatchObject({ seconds: 2n });
});

test("a rule's own words come before the annotations of its object", () => {
  const rules = `[{timeouts: {request: 1s}, retry: {attempts: 2, codes: [503]}, backendRefs: [${to("reviews-v1")}]}]`;
  const { action } = routed(
    annotated({ "retry.linkerd.io/http": "504", "timeout.linkerd.io/response": "9s" }, { rules }),
  );
  expect(action.timeout).toMatchObject({ seconds: 1n });
  expect(action.retryPolicy).toMatchObject({ numRetries: 2, retriableStatusCodes: [503] });
});

test("a service says it of calls that no route is for, and of routes that say nothing of the same", () => {
  const labels = { "retry.linkerd.io/http": "504", "timeout.linkerd.io/response": "2s" };
  expect(routed(service(labels)).action).toMatchObject({
    retryPolicy: { retriableStatusCodes: [504], numRetries: 1 },
    timeout: { seconds: 2n },
  });
  expect(routed(service(labels)).marks).toEqual({ retryOnStated: true });
  const plain = service(labels, routeYaml(RULES));
  expect(routed(plain).action.retryPolicy?.retriableStatusCodes).toEqual([504]);
  const own = service(labels, routeYaml(RULES, { annotations: { "retry.linkerd.io/http": "503" } }));
  expect(routed(own).action).toMatchObject({
    retryPolicy: { retriableStatusCodes: [503] },
    timeout: { seconds: 2n },
  });
  const virtual = service(
    labels,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{timeout: 7s, route: [{destination: {host: reviews}}]}]}
`,
  );
  expect(routed(virtual).action).toMatchObject({
    retryPolicy: { retriableStatusCodes: [504] },
    timeout: { seconds: 7n },
  });
});

test.each<[Annotations, string]>([
  [{ "retry.linkerd.io/http": "often" }, '"often", which means nothing here'],
  [{ "retry.linkerd.io/http": "504-500" }, '"504-500", which means nothing here'],
  [{ "retry.linkerd.io/grpc": "internal" }, "retry.linkerd.io/grpc is not for a HTTPRoute"],
  [{ "retry.linkerd.io/limit": "2" }, "retries need the annotation"],
  [{ "retry.linkerd.io/http": "5xx", "retry.linkerd.io/limit": "0" }, "must be a whole number above 0"],
  [{ "timeout.linkerd.io/request": "10" }, "must be a duration such as 20ms"],
])("what means nothing is warned of: %j", (annotations, warning) => {
  expect(warnings(annotated(annotations))).toEqual([expect.stringContaining(warning)]);
});
