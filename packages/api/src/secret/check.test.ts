import { expect, test } from "vitest";
import { checkSecret } from "./check.js";

test("checkSecret folds stringData into data, over the same key, in UTF-8", () => {
  const checked = checkSecret({
    apiVersion: "v1",
    kind: "Secret",
    metadata: {},
    data: { a: "YQ==", b: "Yg==" },
    stringData: { b: "grüße 👋" },
    immutable: null,
  });
  expect(checked).toEqual({
    ok: true,
    spec: {},
    extra: { data: { a: "YQ==", b: Buffer.from("grüße 👋").toString("base64") }, type: "Opaque" },
    warnings: [],
  });
});

test.each<[Record<string, unknown>, string, string]>([
  [{ data: { a: "not base64" } }, "data.a", "is not base64"],
  [{ data: { "a/b": "" } }, 'data["a/b"]', "expected letters"],
  [{ data: [] }, "data", "expected an object, got a list"],
  [{ stringdata: {} }, "stringdata", "is not a known field; did you mean stringData?"],
  [{ spec: {} }, "spec", "is not a known field"],
  [
    { type: "kubernetes.io/tls", data: { "tls.crt": "" } },
    'data["tls.key"]',
    "is required for type kubernetes.io/tls",
  ],
  [{ data: { a: "A".repeat(1_398_104) } }, "data", "at most 1 MiB is allowed"],
])("checkSecret refuses %.60j", (raw, path, message) => {
  const checked = checkSecret(raw);
  expect(checked.ok ? [] : checked.violations).toEqual([{ path, message: expect.stringContaining(message) }]);
});

test("checkSecret never shows a secret in its messages", () => {
  const checked = checkSecret({ data: { a: "hunter2!" }, stringData: { b: "x".repeat(2_000_000) } });
  expect(JSON.stringify(checked)).not.toMatch(/hunter2|xxxx/);
});
