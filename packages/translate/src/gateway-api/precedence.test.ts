import type { EngineRequest } from "@tulle/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import { clientOf } from "../../testdata/decide.js";
import { REVIEWS, shop, SHOP_CLIENT } from "../../testdata/gateway-api.js";
import { mesh } from "../../testdata/mesh.js";

// Small worlds with few names, so that rules meet each other.

const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"];

const arbitraryMatch = fc.record(
  {
    path: fc.record({ type: fc.constantFrom("Exact", "PathPrefix"), value: fc.constantFrom(...PATHS) }),
    method: fc.constantFrom("GET", "POST"),
    headers: fc.uniqueArray(
      fc.record({ name: fc.constantFrom("x", "y"), value: fc.constantFrom("1", "2") }),
      {
        selector: ({ name }) => name,
      },
    ),
    queryParams: fc.uniqueArray(
      fc.record({ name: fc.constantFrom("p", "q"), value: fc.constantFrom("1", "2") }),
      { selector: ({ name }) => name },
    ),
  },
  { requiredKeys: [] },
);
type Match = typeof arbitraryMatch extends fc.Arbitrary<infer Value> ? Value : never;

const arbitraryRoute = fc.record({
  name: fc.constantFrom("m", "a", "z"),
  day: fc.integer({ min: 1, max: 3 }),
  rules: fc.array(fc.array(arbitraryMatch, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
});
type Route = typeof arbitraryRoute extends fc.Arbitrary<infer Value> ? Value : never;

const arbitraryRoutes = fc.uniqueArray(arbitraryRoute, { selector: ({ name }) => name, maxLength: 3 });

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: readonly (readonly [string, string])[];
}

const pairs = (...names: string[]) =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom("1", "2")), {
    selector: ([name]) => name,
  });

const arbitraryCall: fc.Arbitrary<Call> = fc.record({
  method: fc.constantFrom("GET", "POST"),
  path: fc.constantFrom(...PATHS, "/ab/c", "/b"),
  query: pairs("p", "q"),
  headers: pairs("x", "y"),
});

function routeOf({ name, day, rules }: Route): object {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name, namespace: "shop", creationTimestamp: `2026-01-0${day}T00:00:00Z` },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "reviews" }],
      rules: rules.map((matches, index) => ({
        name: `${name}-${index}`,
        matches,
        backendRefs: [{ name: "reviews-v1", port: 9080 }],
      })),
    },
  };
}

/** Gateway API's words, one after the other, with no regard to cost. */
function winner(routes: readonly Route[], call: Call): string | undefined {
  const found = routes.flatMap((route) =>
    route.rules.flatMap((matches, rule) =>
      matches.filter((match) => holds(match, call)).map((match) => ({ route, rule, match })),
    ),
  );
  const criteria: readonly ((one: (typeof found)[number]) => number | string)[] = [
    ({ match }) => (match.path?.type === "Exact" ? 0 : 1),
    ({ match }) => (match.path?.type === "Exact" ? 0 : -(match.path?.value ?? "/").replace(/\/$/, "").length),
    ({ match }) => (match.method === undefined ? 1 : 0),
    ({ match }) => -(match.headers?.length ?? 0),
    ({ match }) => -(match.queryParams?.length ?? 0),
    ({ route }) => route.day,
    ({ route }) => route.name,
    ({ rule }) => rule,
  ];
  let left = found;
  for (const criterion of criteria) {
    const values = left.map(criterion);
    const best = values.reduce((least, value) => (value < least ? value : least), values[0] ?? 0);
    left = left.filter((one) => criterion(one) === best);
  }
  const [first] = left;
  return first && `${first.route.name}-${first.rule}`;
}

function holds({ path, method, headers = [], queryParams = [] }: Match, call: Call): boolean {
  const value = path?.value ?? "/";
  const segments = (text: string) => text.split("/").filter((part) => part !== "");
  const onPath =
    path?.type === "Exact"
      ? call.path === value
      : segments(value).every((part, index) => segments(call.path)[index] === part);
  const has = (list: Call["headers"], name: string, wanted: string) =>
    list.some(([key, given]) => key === name && given === wanted);
  return (
    onPath &&
    (method === undefined || method === call.method) &&
    headers.every((header) => has(call.headers, header.name, header.value)) &&
    queryParams.every((parameter) => has(call.query, parameter.name, parameter.value))
  );
}

function requestOf({ method, path, query, headers }: Call): Partial<EngineRequest> {
  const search = query.map(([name, value]) => `${name}=${value}`).join("&");
  return { method, path: search === "" ? path : `${path}?${search}`, headers: headers.flat() };
}

test("requests take the rule that Gateway API's precedence says, whatever rules there are", () => {
  let routed = 0;
  fc.assert(
    fc.property(
      arbitraryRoutes.filter((routes) => routes.length > 0),
      fc.array(arbitraryCall, { minLength: 4, maxLength: 12 }),
      (routes, calls) => {
        const yaml = routes.map((route) => JSON.stringify(routeOf(route))).join("\n---\n");
        const client = clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS);
        for (const call of calls) {
          const expected = winner(routes, call);
          const decided = client.decide(requestOf(call));
          if (expected !== undefined) routed++;
          expect(decided.route, JSON.stringify(call)).toBe(expected);
          expect(decided.status).toBe(expected === undefined ? 404 : undefined);
        }
      },
    ),
    { numRuns: 120 },
  );
  expect(routed).toBeGreaterThan(200);
});
