import { CLUSTER_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { CLIENT, cluster, GRPC_CLIENT, instance, made, mesh } from "../testdata/mesh.js";

const NAME = "outbound|9080||reviews.default.svc.cluster.local";
const AT = "balancer.linkerd.io/failure-accrual";
const RATE = "balancer.alpha.linkerd.io/failure-accrual-success-rate";

function rule(annotations: Readonly<Record<string, string>>, trafficPolicy = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, annotations: ${JSON.stringify(annotations)}}
spec: {host: reviews${trafficPolicy}}
`;
}

const reviews = (labels: Readonly<Record<string, string>> = {}) => [
  instance({ service: "reviews", servicePort: 9080, labels }),
];

test("consecutive failures, with Linkerd's defaults, by an annotation of a DestinationRule", () => {
  const at = mesh(reviews(), rule({ [AT]: "consecutive" }));
  const made9080 = cluster(at, CLIENT, NAME);
  expect(made9080.outlierDetection).toMatchObject({
    consecutive5xx: 7,
    enforcingConsecutive5xx: 100,
    enforcingSuccessRate: 0,
    baseEjectionTime: { seconds: 1n },
    maxEjectionTime: { seconds: 60n },
    maxEjectionPercent: 100,
  });
  expect(made9080.outlierDetection?.enforcingFailurePercentage).toBeUndefined();
  expect(made9080.metadata?.filterMetadata["tulle.dev"]).toEqual({ failureAccrual: { jitterRatio: 0.5 } });
  expect(made(at, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([]);
});

test("unified: a success rate besides, by what the instances of a service say of it", () => {
  const said = {
    [AT]: "unified",
    [`${AT}-consecutive-max-failures`]: "0",
    [`${AT}-consecutive-min-penalty`]: "2s",
    [`${AT}-consecutive-max-penalty`]: "10s",
    [`${AT}-consecutive-jitter-ratio`]: "0",
    [`${RATE}-threshold`]: "0.95",
    [`${RATE}-window`]: "30s",
    [`${RATE}-min-requests`]: "20",
  };
  const made9080 = cluster(mesh(reviews(said)), CLIENT, NAME);
  expect(made9080.outlierDetection).toMatchObject({
    consecutive5xx: 0,
    enforcingConsecutive5xx: 0,
    interval: { seconds: 30n },
    failurePercentageThreshold: 5,
    failurePercentageMinimumHosts: 1,
    failurePercentageRequestVolume: 20,
    enforcingFailurePercentage: 100,
    baseEjectionTime: { seconds: 2n },
    maxEjectionTime: { seconds: 10n },
  });
  expect(made9080.metadata?.filterMetadata["tulle.dev"]).toEqual({
    failureAccrual: { jitterRatio: 0, minSuccessRate: 0.95 },
  });
});

test("a ServiceEntry says it of its hosts", () => {
  const at = mesh(
    [],
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, annotations: {${AT}: consecutive}}
spec:
  hosts: [bank.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
`,
  );
  expect(cluster(at, CLIENT, "outbound|80||bank.example").outlierDetection?.consecutive5xx).toBe(7);
});

test("a DestinationRule's word comes before the service's, and outlierDetection has no effect beside it", () => {
  const yaml = rule(
    { [AT]: "consecutive", [`${AT}-consecutive-max-failures`]: "3" },
    ", trafficPolicy: {outlierDetection: {consecutive5xxErrors: 9}}",
  );
  const at = mesh(reviews({ [AT]: "unified" }), yaml);
  expect(cluster(at, CLIENT, NAME).outlierDetection).toMatchObject({ consecutive5xx: 3 });
  expect(made(at, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("outlierDetection has no effect beside the annotation"),
  ]);
});

test.each([
  [{ [AT]: "often" }, "must be consecutive or unified"],
  [{ [AT]: "consecutive", [`${AT}-consecutive-max-failures`]: "0" }, "must be a whole number above 0"],
  [{ [AT]: "consecutive", [`${AT}-consecutive-min-penalty`]: "soon" }, "must be a duration"],
  [{ [AT]: "consecutive", [`${AT}-consecutive-jitter-ratio`]: "101" }, "must be a number from 0 to 100"],
  [{ [AT]: "consecutive", [`${RATE}-window`]: "10s" }, "needs balancer.linkerd.io/failure-accrual: unified"],
  [{ [AT]: "unified", [`${RATE}-threshold`]: "80" }, "must be a number from 0 to 1"],
  [{ [AT]: "consecutive", [`${AT}-consecutive-min-penalty`]: "2m" }, "is shorter than min-penalty"],
])("what means nothing is warned of: %j", (annotations, warning) => {
  const at = mesh(reviews(), rule(annotations));
  expect(made(at, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([expect.stringContaining(warning)]);
});

test("proxyless gRPC clients eject without probation, and are told of", () => {
  const at = mesh(reviews(), rule({ [AT]: "consecutive" }));
  expect(cluster(at, GRPC_CLIENT, NAME).metadata?.filterMetadata["tulle.dev"]).toBeUndefined();
  expect(made(at, GRPC_CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("without probation"),
  ]);
});
