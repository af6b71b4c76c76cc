import { expect, test } from "vitest";
import { routeYaml, shop, to } from "../../../testdata/gateway-api.js";
import { mesh } from "../../../testdata/mesh.js";
import { analyze } from "../analyze.js";

function found(yaml: string, live = true): readonly string[] {
  return analyze(mesh(shop(), yaml).reader, { live }).map(
    ({ code, path, message }) => `${code} ${path}: ${message}`,
  );
}

const V1 = `{backendRefs: [${to("reviews-v1")}]}`;
const GONE = routeYaml(`[{backendRefs: [${to("gone")}]}]`);

test("nothing is said of a route that holds", () => {
  expect(found(routeYaml(`[${V1}]`))).toEqual([]);
});

test("backends and parents that nobody registered are named where it is known who did", () => {
  expect(found(GONE)).toEqual(["IST0101 spec.rules: nobody has registered gone.shop.svc.cluster.local"]);
  expect(found(GONE, false)).toEqual([]);
  const parent = "{kind: Service, group: '', name: reviews}, {kind: Service, group: '', name: gone}";
  expect(found(routeYaml(`[${V1}]`, { parent }))).toEqual([
    "IST0101 spec.parentRefs[1]: nobody has registered gone.shop.svc.cluster.local",
  ]);
});

test("rules that cannot be carried out, and routes that something holds instead of, are named", () => {
  const bad = `{matches: [{path: {type: RegularExpression, value: "("}}], backendRefs: [${to("reviews-v1")}]}`;
  expect(found(routeYaml(`[${V1}, ${bad}]`), false)).toEqual([
    expect.stringContaining("TUL0001 spec.rules: Dropped Rule 1 (the regular expression"),
  ]);
  const calls = routeYaml(`[${V1}]`, { kind: "GRPCRoute", name: "calls" });
  expect(found(routeYaml(`[${V1}]`) + calls)).toEqual([
    "TUL0001 spec.parentRefs[0]: GRPCRoute calls is of a more specific kind",
  ]);
});
