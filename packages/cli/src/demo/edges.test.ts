import fc from "fast-check";
import { expect, test } from "vitest";

import { edgesOf, mergeEdges, quantile, since } from "./edges.js";
import { parsePrometheus } from "./prometheus.js";

const TEXT = `# TYPE istio_requests_total counter
istio_requests_total{reporter="source",source_canonical_service="frontend",source_principal="spiffe://a",destination_service_name="reviews",destination_version="v1",destination_principal="spiffe://b",response_code="200",connection_security_policy="unknown"} 8
istio_requests_total{reporter="source",source_canonical_service="frontend",destination_service_name="reviews",destination_version="v1",response_code="503"} 2
istio_requests_total{reporter="source",source_canonical_service="frontend",destination_service_name="unknown",destination_version="latest",response_code="503"} 1
istio_requests_total{reporter="destination",source_canonical_service="x",response_code="200"} 99
istio_request_duration_milliseconds_bucket{reporter="source",source_canonical_service="frontend",destination_service_name="reviews",destination_version="v1",le="1"} 5
istio_request_duration_milliseconds_bucket{reporter="source",source_canonical_service="frontend",destination_service_name="reviews",destination_version="v1",le="5"} 9
istio_request_duration_milliseconds_bucket{reporter="source",source_canonical_service="frontend",destination_service_name="reviews",destination_version="v1",le="+Inf"} 10
`;

test("edgesOf sums what a source saw of one version of a service", () => {
  const [edge, ...others] = edgesOf(TEXT);
  expect(others).toEqual([]);
  expect(edge).toMatchObject({
    source: "frontend",
    destination: "reviews",
    version: "v1",
    sourcePrincipal: "spiffe://a",
    destinationPrincipal: "spiffe://b",
    requests: 10,
    failures: 2,
    mutualTls: true,
  });
});

test("quantile interpolates within a bucket", () => {
  const { buckets } = edgesOf(TEXT)[0]!;
  expect(quantile(buckets, 0.5)).toBeCloseTo(1);
  expect(quantile(buckets, 0.7)).toBeCloseTo(3);
  expect(quantile(buckets, 0.99)).toBe(5);
  expect(quantile(new Map(), 0.5)).toBeUndefined();
});

test("mergeEdges adds up what several instances of a caller saw", () => {
  const edge = edgesOf(TEXT)[0]!;
  const [merged, ...others] = mergeEdges([edge, { ...edge, mutualTls: false }, { ...edge, version: "v2" }]);
  expect(others.map(({ version }) => version)).toEqual(["v2"]);
  expect(merged).toMatchObject({ requests: 20, failures: 4, mutualTls: false });
  expect(merged?.buckets.get(5)).toBe(18);
});

test("since takes the difference, and the whole when a counter began again", () => {
  const edge = edgesOf(TEXT)[0]!;
  expect(since(edge, edge)).toMatchObject({ requests: 0, failures: 0 });
  expect(since({ ...edge, requests: 50 }, edge)).toMatchObject({ requests: 10 });
});

test("parsePrometheus reads escapes and passes over what is no sample", () => {
  const samples = [...parsePrometheus('a{x="q\\"u\\\\o\\nte"} 1.5 1700\nb +Inf\nnot a sample\n{} 3\n')];
  expect(samples.map(({ name, value }) => [name, value])).toEqual([
    ["a", 1.5],
    ["b", Infinity],
  ]);
  expect(samples[0]?.labels.get("x")).toBe('q"u\\o\nte');
});

test("parsePrometheus takes any text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void [...parsePrometheus(text)]));
});
