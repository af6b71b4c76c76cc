import {
  AdmissionProgress,
  admit,
  createLoadTable,
  entropyOf,
  explain,
  pick,
  requestFrom,
  route,
  routeConnection,
  type DecisionView,
} from "@tulle/engine";
import fc from "fast-check";
import { expect, test } from "vitest";

import { arbitraryMesh } from "../../../translate/testdata/arbitrary.js";
import { CLIENT } from "../../../translate/testdata/mesh.js";
import { SidecarSnapshot } from "./sidecar-snapshot.js";

const request = fc
  .record({
    method: fc.constantFrom("GET", "POST"),
    host: fc.constantFrom("reviews:9080", "ratings.default:9080", "a.example:9080", "nowhere"),
    path: fc.constantFrom("/", "/a/b?q=1", "/x", "/aaa"),
    headers: fc.subarray(["x-a: ", "x-a: x", "version: v1", "cookie: a=b"]),
  })
  .map(({ method, host, path, headers }) => requestFrom({ method, url: `http://${host}${path}`, headers }));

test("explain says of any request in any mesh what the proxy decides", () => {
  let forwarded = 0;
  let split = 0;
  fc.assert(
    fc.property(
      arbitraryMesh,
      fc.array(request, { minLength: 1, maxLength: 6 }),
      fc.array(fc.string(), { minLength: 6, maxLength: 6 }),
      fc.array(fc.nat(3), { maxLength: 12 }),
      ({ reader }, requests, ids, busy) => {
        const load = createLoadTable();
        const sidecar = new SidecarSnapshot(reader, CLIENT, load);
        for (const { authority } of requests) sidecar.with(authority);
        busy.forEach((times, slot) => {
          for (let one = 0; one < times; one++) load.begin(0, slot);
        });
        requests.forEach((asked, index) => {
          const snapshot = sidecar.with(asked.authority);
          const requestId = ids[index]!;
          // What the proxy does, in its order. The explanation is made first: it may not change what is decided.
          const explanation = explain(
            { snapshot, load, now: 0 },
            { direction: "outbound", request: asked, requestId },
          );
          const view = { snapshot, load, now: 0, entropy: entropyOf(requestId) };
          expect(digestOf(explanation)).toEqual(decided(view, asked));
          if (explanation.result.kind === "forward") forwarded++;
          if (explanation.split.length > 1) split++;
        });
      },
    ),
    { numRuns: 100 },
  );
  expect([forwarded > 3, split > 3]).toEqual([true, true]);
});

interface Decided {
  readonly kind: string;
  readonly route?: string;
  readonly cluster?: string;
  readonly endpoint?: string;
}

function digestOf({ result, route: of, cluster, endpoints }: ReturnType<typeof explain>): Decided {
  return {
    kind: result.kind,
    ...(of === undefined ? {} : { route: of.name }),
    ...(cluster === undefined ? {} : { cluster: cluster.name }),
    ...(result.kind === "forward" ? { endpoint: endpoints.find(({ chosen }) => chosen)?.address ?? "" } : {}),
  };
}

function decided(view: DecisionView, asked: ReturnType<typeof requestFrom>): Decided {
  const found = view.snapshot.outbound(asked.authority);
  if (found === null || found === undefined) return { kind: "unknown-service" };
  const chain = found.protocol === "detected" ? (found.http ?? found.tcp) : found;
  if (chain.protocol === "tcp") {
    const plan = routeConnection(view, chain);
    const cluster = plan.cluster.name;
    if (plan.cluster.originalDestination) return { kind: "bytes", cluster };
    return { kind: "kind" in pick(view, plan, FIRST_TRY) ? "no-endpoint" : "bytes", cluster };
  }
  const routed = route(view, chain, asked);
  if (routed.kind === "no-route") return { kind: "no-route" };
  if (routed.kind === "reply") return { kind: "reply", route: routed.routeName };
  const common = { route: routed.routeName, cluster: routed.cluster.name };
  const progress = new AdmissionProgress();
  const facts = { request: asked, principal: undefined };
  let admission = admit(view, chain, routed, facts, progress);
  while (admission.kind === "delay") admission = admit(view, chain, routed, facts, progress);
  if (admission.kind === "reply") return { kind: "denied", ...common };
  if (routed.cluster.originalDestination) return { kind: "forward", ...common, endpoint: "" };
  const picked = pick(view, routed, FIRST_TRY);
  return "kind" in picked
    ? { kind: "no-endpoint", ...common }
    : { kind: "forward", ...common, endpoint: picked.key };
}

const FIRST_TRY = { attempts: 0, triedSlots: [] };
