import type { WireObject } from "@tulle/api";
import { expect, test } from "vitest";

import { describeParents } from "./describe-parents.js";

function route(status: unknown): WireObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "x", uid: "", resourceVersion: "", creationTimestamp: "" },
    status,
  };
}

test("describeParents shows each condition of each parent", () => {
  const accepted = { type: "Accepted", status: "True", reason: "Accepted", message: "the route holds" };
  const parents = [
    {
      parentRef: { kind: "Service", name: "reviews", namespace: "shop", port: 9080 },
      conditions: [accepted],
    },
    { parentRef: { kind: "Hostname", name: "a.example" }, conditions: [{ ...accepted, status: "False" }] },
  ];
  expect(describeParents(route({ parents }), false)).toBe(`Parents:
  PARENT                      TYPE       STATUS   REASON     MESSAGE
  Service shop/reviews:9080   Accepted   True     Accepted   the route holds
  Hostname a.example          Accepted   False    Accepted   the route holds
`);
});

test.each([undefined, null, {}, { parents: 1 }, { parents: [null, { conditions: [1] }] }])(
  "describeParents shows nothing of %j",
  (status) => {
    expect(describeParents(route(status), false)).toBe("");
  },
);
