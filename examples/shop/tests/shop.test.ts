// The same in TypeScript, for what YAML is too narrow for: here every version that the split knows must be able to answer.
import { fileURLToPath } from "node:url";

import { mesh } from "tulle/testing";
import { expect, test } from "vitest";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const shop = await mesh({ files: [here("../config"), here("services.yaml")] });

test("every version that a visitor may ask for has an instance", () => {
  const asked: readonly (readonly [string, Record<string, string>])[] = [
    ["v2", { version: "v2" }],
    ["v3", { "end-user": "jason" }],
  ];
  for (const [subset, headers] of asked) {
    shop
      .request({ from: "frontend", url: "http://reviews:9080/reviews", headers })
      .expect({ result: "forward", destination: { subset }, endpoints: [subset] });
  }
});

test("a request that goes another way says why", () => {
  const visitor = shop.request({ from: "frontend", url: "http://reviews:9080/reviews" });
  expect(() => visitor.expect({ route: "beta" })).toThrow('header "end-user" is absent, not "jason"');
});

test("faults and copies are compared by their exact shares", () => {
  const broken = shop.request({
    from: "frontend",
    url: "http://details:9082/",
    headers: { "x-break-details": "yes" },
  });
  expect(() => broken.expect({ fault: { status: 500, share: "50%" } })).toThrow(
    "fault.status: expected 500, got 503\nfault.share: expected 50%, got 100%",
  );
  const read = shop.request({ from: "reviews", url: "http://ratings:9081/" });
  expect(read.check({ mirrors: { v1: "5%" } }).map(({ path }) => path)).toEqual(["mirrors.v1", "mirrors.v2"]);
});

test("the canary gets its share of many requests, as their ids have it", () => {
  let canary = 0;
  for (let number = 0; number < 1000; number++) {
    const { explanation } = shop.request({
      from: "frontend",
      url: "http://reviews:9080/reviews",
      requestId: `visitor-${number}`,
    });
    if (explanation.cluster?.subset === "v2") canary++;
  }
  expect(canary).toBeGreaterThan(70);
  expect(canary).toBeLessThan(130);
});
