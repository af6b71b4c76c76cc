import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_RUNTIME } from "./runtime-values.js";
import { request } from "../testing/resources.js";
import { pathEnd } from "./path-end.js";
import { RouteIndex } from "./route-index.js";
import { compileRouteTable } from "./route-table.js";

type RouteInit = MessageInitShape<typeof RouteSchema>;

const path = fc.constantFrom("/", "/a", "/b", "/a/b", "/a/b/c", "/ab", "/A", "/constructor", "");
const match = fc
  .record({
    pathSpecifier: fc.oneof(
      path.map((value) => ({ case: "path" as const, value })),
      path.map((value) => ({ case: "prefix" as const, value })),
      fc.constantFrom("/a", "/b", "/a/b").map((value) => ({ case: "pathSeparatedPrefix" as const, value })),
      fc.constant({ case: "safeRegex" as const, value: { regex: "/[ab]" } }),
    ),
    caseSensitive: fc.boolean(),
    wantsHeader: fc.boolean(),
    percent: fc.constantFrom(undefined, 0, 50, 100),
  })
  .map(({ pathSpecifier, caseSensitive, wantsHeader, percent }) => ({
    pathSpecifier,
    caseSensitive,
    headers: wantsHeader
      ? [{ name: "x", headerMatchSpecifier: { case: "exactMatch" as const, value: "1" } }]
      : [],
    ...(percent === undefined ? {} : { runtimeFraction: { defaultValue: { numerator: percent } } }),
  }));

test("RouteIndex finds the same route by path as by trying one after the other", () => {
  fc.assert(
    fc.property(
      fc.array(match, { maxLength: 24 }),
      path,
      fc.constantFrom("", "?q=/b", "#f"),
      fc.boolean(),
      fc.nat(),
      (matches, pathname, rest, withHeader, entropy) => {
        const table = compileRouteTable(
          "",
          create(RouteConfigurationSchema, {
            name: "r",
            virtualHosts: [
              {
                name: "h",
                domains: ["*"],
                routes: matches.map((one, index): RouteInit => ({
                  name: String(index),
                  match: one,
                  action: { case: "directResponse", value: { status: 200 } },
                })),
              },
            ],
          }),
          0,
        );
        const { routes } = table.allHosts[0]!.routes;
        const asked = request({ path: pathname + rest, headers: withHeader ? ["x", "1"] : [] });
        const end = pathEnd(asked.path);
        const linear = new RouteIndex(routes, Infinity).first(asked, end, entropy, NO_RUNTIME);
        expect(new RouteIndex(routes, -Infinity).first(asked, end, entropy, NO_RUNTIME)).toBe(linear);
        expect(new RouteIndex(routes).first(asked, end, entropy, NO_RUNTIME)).toBe(linear);
      },
    ),
    { numRuns: 500 },
  );
});
