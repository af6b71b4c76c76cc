import { expect, test } from "vitest";
import { grpcJsonTranscoderKind } from "./kind.js";

const services = ["library.v1.Library"];
const descriptors = { inline: "AAAA" };

test("check accepts every field", () => {
  const spec = {
    selector: { matchLabels: { app: "library" } },
    services,
    descriptors: { configMap: { name: "library", key: "library.binpb" } },
    autoMapping: true,
    ignoredQueryParameters: ["key"],
    ignoreUnknownQueryParameters: true,
    queryParamUnescapePlus: true,
    urlUnescapeSpec: "ALL_CHARACTERS",
    matchUnregisteredCustomVerb: true,
    printOptions: {
      addWhitespace: true,
      alwaysPrintPrimitiveFields: true,
      alwaysPrintEnumsAsInts: true,
      preserveProtoFieldNames: true,
      streamNewlineDelimited: true,
    },
    requestValidationOptions: {
      rejectUnknownMethod: true,
      rejectUnknownQueryParameters: true,
      rejectBindingBodyFieldCollisions: false,
    },
    maxRequestBodySize: 1024,
    maxResponseBodySize: 1024,
  };
  expect(grpcJsonTranscoderKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  const other = { targetRefs: [{ kind: "Service", name: "library" }], services, descriptors };
  expect(grpcJsonTranscoderKind.check({ spec: other }).ok).toBe(true);
});

test.each([
  [{ descriptors }, "spec.services"],
  [{ services: [], descriptors }, "spec.services"],
  [{ services: ["library v1"], descriptors }, "spec.services[0]"],
  [{ services }, "spec.descriptors"],
  [{ services, descriptors: {} }, "spec.descriptors"],
  [{ services, descriptors: { inline: "not base64" } }, "spec.descriptors.inline"],
  [{ services, descriptors: { inline: "AAAA".repeat(400_000) } }, "spec.descriptors.inline"],
  [{ services, descriptors: { inline: "AAAA", configMap: { name: "a", key: "b" } } }, "spec.descriptors"],
  [{ services, descriptors: { configMap: { name: "a", key: "a/b" } } }, "spec.descriptors.configMap.key"],
  [{ services, descriptors, maxRequestBodySize: 0 }, "spec.maxRequestBodySize"],
  [{ services, descriptors, urlUnescapeSpec: "NONE" }, "spec.urlUnescapeSpec"],
  [{ services, descriptors, printOptions: { indent: true } }, "spec.printOptions.indent"],
  [{ services, descriptors, selector: {}, targetRefs: [{ kind: "Service", name: "a" }] }, "spec"],
])("check refuses %.60j", (spec, path) => {
  const checked = grpcJsonTranscoderKind.check({ spec });
  const paths = checked.ok ? [] : checked.violations.map((violation) => violation.path);
  expect(paths.some((each) => each.startsWith(path))).toBe(true);
});
