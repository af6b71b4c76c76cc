import { expect, test } from "vitest";

import { parseLabel, parsePort, parseUpstream, parseWorkers } from "./options.js";

test.each([
  ["ratings", { authority: "ratings", localPort: 0 }],
  ["ratings:9080", { authority: "ratings:9080", localPort: 0 }],
  ["ratings.shop:9080=9081", { authority: "ratings.shop:9080", localPort: 9081 }],
  ["message-service=15001", { authority: "message-service", localPort: 15_001 }],
  ["ratings:9080=unix:/run/r.sock", { authority: "ratings:9080", localPort: 0, socketPath: "/run/r.sock" }],
  ["ratings=unix:///run/r.sock", { authority: "ratings", localPort: 0, socketPath: "/run/r.sock" }],
])("parseUpstream reads %s", (text, expected) => expect(parseUpstream(text)).toEqual(expected));

test.each([
  "",
  ":9080",
  "a:b",
  "a:1=x",
  "a=70000",
  "a b",
  "a=unix:",
  "a=unix:run/r.sock",
  "a=/run/r.sock",
  "-a",
  "http://a",
])("parseUpstream refuses %j", (text) => {
  expect(() => parseUpstream(text)).toThrow(/expected/);
});

test("parsePort takes 0 to 65535", () => {
  expect([parsePort("0"), parsePort("65535")]).toEqual([0, 65_535]);
  for (const text of ["-1", "65536", "1e3", "", "0x10"])
    expect(() => parsePort(text)).toThrow(/expected a port/);
});

test("parseWorkers takes 1 to 64", () => {
  expect([parseWorkers("1"), parseWorkers("64")]).toEqual([1, 64]);
  for (const text of ["0", "65", "1.5", "", "-2", "auto"])
    expect(() => parseWorkers(text)).toThrow(/expected a number of threads/);
});

test("parseLabel splits at the first equals sign", () => {
  expect(parseLabel("a=b=c")).toEqual(["a", "b=c"]);
  expect(() => parseLabel("=b")).toThrow(/expected/);
});
