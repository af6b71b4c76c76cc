import { expect, test } from "vitest";

import { applyHeaderMutations } from "./header-mutations.js";
import { decodePeerMetadata, encodePeerMetadata, PeerMetadataCache } from "./peer-metadata.js";

const labels = {
  workload: "reviews-v1",
  namespace: "default",
  canonicalName: "reviews",
  canonicalRevision: "v1",
};
const id = "spiffe://cluster.local/ns/default/sa/reviews";

test("decodePeerMetadata gives back what encodePeerMetadata wrote", () => {
  expect(decodePeerMetadata(encodePeerMetadata(labels), id)).toEqual(labels);
});

test("decodePeerMetadata refuses malformed values and another namespace than the certificate's", () => {
  expect(decodePeerMetadata(encodePeerMetadata({ ...labels, namespace: "kube-system" }), id)).toBeUndefined();
  expect(decodePeerMetadata("%%%", id)).toBeUndefined();
  expect(decodePeerMetadata(Buffer.from("a;b").toString("base64"), id)).toBeUndefined();
  expect(decodePeerMetadata("A".repeat(5000), id)).toBeUndefined();
});

test("PeerMetadataCache gives the same object for the same peer", () => {
  const cache = new PeerMetadataCache();
  const value = encodePeerMetadata(labels);
  expect(cache.decode(value, id)).toBe(cache.decode(value, id));
});

test("applyHeaderMutations sets, appends and removes, but leaves the framing alone", () => {
  const headers = ["A", "1", "b", "2", "a", "3", "Content-Length", "5"];
  applyHeaderMutations(headers, [
    { op: "set", name: "a", value: "x" },
    { op: "append", name: "b", value: "y" },
    { op: "remove", name: "content-length" },
    { op: "set", name: "transfer-encoding", value: "chunked" },
  ]);
  expect(headers).toEqual(["b", "2", "Content-Length", "5", "a", "x", "b", "y"]);
});
