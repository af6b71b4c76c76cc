import fc from "fast-check";
import { expect, test } from "vitest";
import {
  inboundClusterName,
  outboundClusterName,
  parseClusterName,
  routeConfigurationName,
  serverName,
} from "./names.js";

test("parseClusterName reads what outboundClusterName writes", () => {
  expect(outboundClusterName("a.example", 9080, "v2")).toBe("outbound|9080|v2|a.example");
  expect(parseClusterName("outbound|9080|v2|a.example")).toEqual({
    direction: "outbound",
    port: 9080,
    subset: "v2",
    host: "a.example",
  });
  expect(parseClusterName(inboundClusterName("a.example", 80))).toMatchObject({
    direction: "inbound",
    subset: "",
  });
});

test.each([
  "",
  "x",
  "outbound|0||a",
  "outbound|65536||a",
  "outbound|08||a",
  "outbound|80|a",
  "outbound|80||",
  "up|80||a",
  "outbound|80||a|b",
])("parseClusterName refuses %j", (name) => {
  expect(parseClusterName(name)).toBeUndefined();
});

test("parseClusterName never throws", () => {
  fc.assert(fc.property(fc.string(), (name) => parseClusterName(name) === undefined || name.includes("|")));
});

test("serverName has Istio's form with an empty subset", () => {
  expect(serverName("reviews.default.svc.cluster.local", 9080)).toBe(
    "outbound_.9080_._.reviews.default.svc.cluster.local",
  );
});

test("routeConfigurationName puts IPv6 addresses in brackets", () => {
  expect(routeConfigurationName("::1", 80)).toBe("[::1]:80");
});
