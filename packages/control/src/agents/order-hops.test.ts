import fc from "fast-check";
import { expect, test } from "vitest";

import type { ConnectedAgent } from "./contract.js";
import { orderHops, type ToldRecord } from "./order-hops.js";

const agent = (index: number): ConnectedAgent => ({
  id: `p${index}`,
  service: `s${index}`,
  namespace: "default",
  identity: `spiffe://cluster.local/ns/default/sa/s${index}`,
  version: "1",
  inboundAddress: `10.0.0.${index}:15006`,
  queries: new Set(),
  connectedAt: 0,
  ask: async () => undefined,
});

const told = fc
  .record({
    at: fc.nat(4),
    to: fc.nat(4),
    by: fc.nat(4),
    inbound: fc.boolean(),
    time: fc.nat(10),
  })
  .map(({ at, to, by, inbound, time }): ToldRecord => {
    const endpoint = `10.0.0.${to}:15006`;
    return {
      agent: agent(at),
      record: {
        requestId: "id",
        time,
        durationMs: 0,
        direction: inbound ? "inbound" : "outbound",
        kept: "failed",
        entropy: 0,
        snapshot: 0,
        versions: {},
        request: {
          method: "GET",
          authority: "",
          path: "/",
          scheme: "http",
          protocol: "",
          headers: [],
          omittedHeaders: 0,
        },
        local: "",
        remote: "",
        principal: inbound ? agent(by).identity : "",
        serverName: "",
        listener: "",
        route: "",
        owner: { config: "", rule: "" },
        cluster: "",
        tries: inbound ? [] : [{ endpoint, at: 0, ms: 0, outcome: "answered", status: 200, detail: "" }],
        attempts: 1,
        response: { status: 200, flags: "", details: "", grpcStatus: -1, transportFailure: "" },
      },
    };
  });

test("orderHops tells every record once, whatever proxies tell, each a hop deeper than what led to it", () => {
  fc.assert(
    fc.property(fc.array(told, { maxLength: 24 }), (all) => {
      const hops = orderHops(all);
      expect(hops).toHaveLength(all.length);
      expect(new Set(hops.map(({ record }) => record))).toEqual(new Set(all.map(({ record }) => record)));
      hops.forEach((hop, index) => {
        const before = hops[index - 1]?.depth ?? -1;
        expect(hop.depth).toBeLessThanOrEqual(before + 1);
      });
    }),
  );
});
