import { expect, test } from "vitest";
import { checkConfigMap } from "./check.js";

test("checkConfigMap keeps text and bytes apart", () => {
  const raw = { apiVersion: "v1", kind: "ConfigMap", metadata: {}, data: { "ca.crt": "pem" } };
  expect(checkConfigMap({ ...raw, binaryData: { b: "Yg==" }, immutable: null })).toEqual({
    ok: true,
    spec: {},
    extra: { data: { "ca.crt": "pem" }, binaryData: { b: "Yg==" } },
    warnings: [],
  });
});

test.each<[Record<string, unknown>, string, string]>([
  [{ data: { a: 1 } }, "data.a", "expected a string"],
  [{ data: { "a/b": "" } }, 'data["a/b"]', "expected letters"],
  [{ binaryData: { a: "not base64" } }, "binaryData.a", "is not base64"],
  [{ data: { a: "" }, binaryData: { a: "" } }, 'binaryData["a"]', "is in data, too"],
  [{ spec: {} }, "spec", "is not a known field"],
  [{ data: { a: "ü".repeat(600_000) } }, "data", "has 1200000 bytes; at most 1 MiB is allowed"],
])("checkConfigMap refuses %.60j", (raw, path, message) => {
  const checked = checkConfigMap(raw);
  expect(checked.ok ? [] : checked.violations).toEqual([{ path, message: expect.stringContaining(message) }]);
});
