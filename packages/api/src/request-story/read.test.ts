import { MeshError } from "@tulle/base";
import fc from "fast-check";
import { expect, test } from "vitest";

import { readRecords } from "./read.js";

const RECORD = {
  requestId: "id-1",
  time: 1,
  durationMs: 2.5,
  direction: "outbound",
  kept: "failed",
  entropy: 7,
  snapshot: 3,
  versions: { listener: "a1" },
  request: {
    method: "GET",
    authority: "reviews:9080",
    path: "/",
    scheme: "http",
    protocol: "HTTP/1.1",
    headers: ["version", "v2"],
    omittedHeaders: 0,
  },
  local: "127.0.0.1:1",
  remote: "127.0.0.1:2",
  principal: "",
  serverName: "",
  listener: "reviews:9080",
  route: "default",
  owner: { config: "", rule: "" },
  cluster: "c",
  tries: [{ endpoint: "127.0.0.1:9", at: 0, ms: 1, outcome: "closed", status: 0, detail: "ECONNRESET" }],
  attempts: 1,
  response: { status: 503, flags: "UC", details: "d", grpcStatus: -1, transportFailure: "ECONNRESET" },
};

test("readRecords gives back what a proxy tells, and nothing else that came along", () => {
  const told = { record: { ...RECORD, more: 1 }, explanation: { version: 1 }, explainedWith: "then" };
  expect(readRecords([told])).toEqual([{ ...told, record: RECORD }]);
  expect(readRecords([])).toEqual([]);
});

test.each([
  ["no list", {}],
  ["a record that is none", [{}]],
  ["too many", Array.from({ length: 65 }, () => ({ record: RECORD }))],
  ["a number that is none", [{ record: { ...RECORD, time: "1" } }]],
  ["a direction that is none", [{ record: { ...RECORD, direction: "up" } }]],
  ["a text without end", [{ record: { ...RECORD, route: "x".repeat(2000) } }]],
  ["a prototype's member", [{ record: Object.create(RECORD) as object }]],
])("readRecords refuses %s", (_name, value) => {
  expect(() => readRecords(value)).toThrow(MeshError);
});

test("readRecords takes any JSON, or refuses it as invalid", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        expect(Array.isArray(readRecords(value))).toBe(true);
      } catch (thrown) {
        expect(thrown).toMatchObject({ kind: "invalid", code: "API_BAD_RECORD" });
      }
    }),
  );
});
