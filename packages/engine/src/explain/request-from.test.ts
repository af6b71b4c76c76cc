import fc from "fast-check";
import type { MeshError } from "@tulle/base";
import { expect, test } from "vitest";
import { readQuestion } from "./read-question.js";
import { requestFrom } from "./request-from.js";

test("requestFrom makes the canonical request of a URL and header lines", () => {
  expect(
    requestFrom({ method: "get", url: "HTTP://Reviews.:9080/a?b#c", headers: ["Version: v2 "] }),
  ).toEqual({
    method: "GET",
    path: "/a?b",
    authority: "reviews:9080",
    scheme: "http",
    headers: ["version", "v2"],
  });
  expect(requestFrom({ method: "GET", url: "reviews" })).toMatchObject({ path: "/", authority: "reviews" });
  expect(requestFrom({ method: "GET", url: "https://[::1]?x", headers: ["Host: other"] })).toMatchObject({
    path: "/?x",
    authority: "other",
    scheme: "https",
  });
});

test.each([
  [{ method: "G T", url: "a" }, "is not a method"],
  [{ method: "GET", url: "http:///x" }, "is not a host"],
  [{ method: "GET", url: "http://a/x y" }, "escape them"],
  [{ method: "GET", url: "a", headers: ["x"] }, "is not a header"],
  [{ method: "GET", url: "a", headers: ["x: a\nb: c"] }, "is not a header"],
])("requestFrom refuses %j", (written, message) => {
  expect(() => requestFrom(written)).toThrow(message);
});

test("readQuestion reads JSON and says what is wrong with it", () => {
  expect(
    readQuestion({ url: "http://a/x", headers: ["b: c"], direction: "inbound", principal: "spiffe://d/e" }),
  ).toMatchObject({
    direction: "inbound",
    principal: "spiffe://d/e",
    request: { method: "GET", authority: "a", path: "/x", scheme: "https", headers: ["b", "c"] },
  });
  expect(() => readQuestion([])).toThrow("JSON object");
  expect(() => readQuestion({})).toThrow('"url" must be set');
  expect(() => readQuestion({ url: "a", headers: [1] })).toThrow('"headers" must be');
  expect(() => readQuestion({ url: "a", requestId: 1 })).toThrow('"requestId" must be a text');
  expect(() => readQuestion({ url: "a", direction: "up" })).toThrow('"direction" must be');
});

test("requestFrom takes any text or refuses it with an error of its own", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.array(fc.string()), (method, url, headers) => {
      try {
        requestFrom({ method, url, headers });
      } catch (thrown) {
        expect((thrown as MeshError).code).toBe("ENGINE_BAD_QUESTION");
      }
    }),
  );
});
