import type { HttpMatchRequest, StringMatch } from "@tulle/api";
import {
  createLoadTable,
  createSnapshotSource,
  route,
  type EngineRequest,
  type HttpChain,
} from "@tulle/engine";
import { analyze, translate, type ClientView } from "@tulle/translate";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import fc from "fast-check";
import { expect, test } from "vitest";

import { objectOf, readerOf } from "../admission/testdata/objects.js";

// Few texts that begin with each other, so that matches meet.
const TEXTS = ["/", "/a", "/A", "/a/b", "/ab", "a", "ab", "GET"];
const text = fc.constantFrom(...TEXTS);
const value: fc.Arbitrary<StringMatch> = fc.oneof(
  text.map((exact) => ({ exact })),
  text.map((prefix) => ({ prefix })),
);
const keyed = fc.dictionary(fc.constantFrom("x", "y"), fc.oneof(value, fc.constant({})), { maxKeys: 2 });
const match: fc.Arbitrary<HttpMatchRequest> = fc.record(
  {
    uri: value,
    ignoreUriCase: fc.boolean(),
    method: value,
    headers: keyed,
    withoutHeaders: keyed,
    queryParams: fc.dictionary(fc.constant("q"), fc.oneof(value, fc.constant({})), { maxKeys: 1 }),
    port: fc.constantFrom(80, 81),
    sourceNamespace: fc.constantFrom("default", "shop"),
    sourceLabels: fc.constantFrom({}, { app: "web" }, { app: "web", tier: "a" }),
    gateways: fc.constantFrom(["mesh"], ["shop/front"]),
  },
  { requiredKeys: [] },
);
const rules = fc.array(fc.array(match, { maxLength: 2 }), { minLength: 2, maxLength: 5 });

const request: fc.Arbitrary<EngineRequest> = fc
  .record({
    path: text,
    query: fc.option(text),
    method: text,
    x: fc.option(text),
    y: fc.option(text),
  })
  .map(({ path, query, method, x, y }) => ({
    method,
    scheme: "http",
    authority: "reviews",
    path: `${path}${query === null ? "" : `?q=${query}`}`,
    headers: [...(x === null ? [] : ["x", x]), ...(y === null ? [] : ["y", y])],
  })) as fc.Arbitrary<EngineRequest>;

const views: readonly ClientView[] = [
  { dialect: "tulle", namespace: "default", mtls: true, labels: {}, inbound: [] },
  { dialect: "tulle", namespace: "default", mtls: true, labels: { app: "web", tier: "a" }, inbound: [] },
  { dialect: "tulle", namespace: "shop", mtls: true, labels: { app: "web" }, inbound: [] },
];

/** Decides requests of a client as its proxy would; gives the index of the rule that answers. */
function decider(reader: Parameters<typeof translate>[0], view: ClientView) {
  const load = createLoadTable({ maxSlots: 16 });
  const source = createSnapshotSource({ load });
  const name = "reviews.default.svc.cluster.local:80";
  for (const typeUrl of [LISTENER_TYPE, ROUTE_TYPE]) {
    const { resource } = translate(reader, view, typeUrl, name);
    if (resource === undefined) throw new Error(`${name} means nothing`);
    expect(source.apply([{ ...resource, bytes: resource.bytes }])).toEqual([]);
  }
  const chain = source.current.outbound(name) as HttpChain;
  return (one: EngineRequest): number | undefined => {
    const routed = route({ snapshot: source.current, load, now: 0, entropy: 0 }, chain, one);
    return routed.kind === "reply" ? routed.status - 200 : undefined;
  };
}

test("no request gets to a rule that analysis calls unreachable, and removing one changes no answer", () => {
  let told = 0;
  fc.assert(
    fc.property(rules, fc.array(request, { minLength: 20, maxLength: 40 }), (list, requests) => {
      const http = list.map((matches, index) => ({
        match: matches,
        directResponse: { status: 200 + index },
      }));
      const object = objectOf("VirtualService", "a", JSON.stringify({ hosts: ["reviews.default"], http }));
      const reader = readerOf([object]);
      const unreachable = new Set<number>();
      const dead: (readonly [number, number])[] = [];
      for (const { code, path } of analyze(reader, { live: true })) {
        const [rule = -1, matched = -1] = [...path.matchAll(/\[(\d+)\]/g)].map(([, index]) => Number(index));
        if (code === "IST0130") unreachable.add(rule);
        if (code === "IST0131") dead.push([rule, matched]);
      }
      told += unreachable.size + dead.length;
      const without = http.map((rule, index) => ({
        ...rule,
        match: rule.match.filter(
          (_, matched) => !dead.some(([at, which]) => at === index && which === matched),
        ),
      }));
      const pruned = objectOf(
        "VirtualService",
        "a",
        JSON.stringify({ hosts: ["reviews.default"], http: without }),
      );
      for (const view of views) {
        const decide = decider(reader, view);
        const decidePruned = decider(readerOf([pruned]), view);
        for (const one of requests) {
          const rule = decide(one);
          expect(unreachable.has(rule ?? -1)).toBe(false);
          expect(decidePruned(one)).toBe(rule);
        }
      }
    }),
    { numRuns: 150 },
  );
  expect(told).toBeGreaterThan(100);
});
