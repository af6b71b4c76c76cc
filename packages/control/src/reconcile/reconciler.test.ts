import { createLogger } from "@tulle/base";
import { FakeClock, settle } from "@tulle/testkit";
import { CLUSTER_TYPE, ENDPOINT_TYPE, heldChecksum, heldVersion, type HeldResource } from "@tulle/xds";
import type { HeldQuery } from "@tulle/xds/gen/tulle/v1/agent_pb.js";
import { beforeEach, expect, test } from "vitest";

import type { ConnectedAgent } from "../agents/index.js";
import { Reconciler } from "./reconciler.js";

const INTERVAL_MS = 60_000;
const ID = "sidecar~127.0.0.1~web-1.default~default.svc.cluster.local";

function resource(name: string, text: string): HeldResource {
  return { name, version: text, bytes: new TextEncoder().encode(text) };
}

/** By type. */
type Resources = Record<string, HeldResource[]>;

let clock: FakeClock;
/** What the proxy has acknowledged, and what it holds. */
let sent: Resources;
let held: Resources;
let healed: string[];
let done: string[];
let warned: string[];
let asked: HeldQuery[];
let answer: (() => unknown) | undefined;
let onAsked: () => void;
/** Whether the proxy takes what it is sent again. */
let obeys: boolean;

beforeEach(() => {
  clock = new FakeClock();
  sent = {
    [ENDPOINT_TYPE]: [resource("a", "a1"), resource("b", "b1")],
    [CLUSTER_TYPE]: [resource("a", "cluster")],
  };
  held = structuredClone(sent);
  healed = [];
  done = [];
  warned = [];
  asked = [];
  answer = undefined;
  onAsked = () => undefined;
  obeys = true;
});

const agent: ConnectedAgent = {
  id: ID,
  service: "web",
  namespace: "default",
  identity: "spiffe://cluster.local/ns/default/sa/web",
  version: "1",
  inboundAddress: "10.0.0.1:15006",
  queries: new Set(["held"]),
  connectedAt: 0,
  ask: async (query) => {
    const value = query.value as HeldQuery;
    asked.push(value);
    onAsked();
    if (answer !== undefined) return answer();
    if (value.typeUrl === "")
      return {
        types: Object.fromEntries(Object.entries(held).map(([type, all]) => [type, heldChecksum(all)])),
      };
    return {
      resources: (held[value.typeUrl] ?? []).map((each) => [each.name, heldVersion(each)]),
      omitted: 0,
    };
  },
};

const logger = createLogger({ level: "warn", write: (line) => warned.push(line), now: () => 0 });

function reconciler(agents: readonly ConnectedAgent[] = [agent], intervalMs = INTERVAL_MS): Reconciler {
  return new Reconciler({
    agents: () => agents,
    ads: {
      ledger: {
        checksums: () => new Map(Object.entries(sent).map(([type, all]) => [type, heldChecksum(all)])),
        acknowledged: (_proxy, type) => {
          const all = sent[type];
          return all && new Map(all.map((each) => [each.name, heldVersion(each)]));
        },
      },
      audit: () => healed.splice(0),
      resend: (_proxy, type, names) => {
        done.push(`resend ${names.join(",")}`);
        const all = sent[type] ?? [];
        if (obeys) held[type] = [...all];
        return names.every((name) => all.some((each) => each.name === name));
      },
      restart: () => {
        done.push("restart");
      },
    },
    intervalMs,
    clock,
    random: () => 0.5,
    logger,
  });
}

/** As many rounds as there are in this time. */
async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count * 30; i++) {
    await clock.advance(INTERVAL_MS / 30);
    await settle();
  }
}

test("Reconciler asks each proxy once in an interval, and is quiet while all is well", async () => {
  using each = reconciler();
  await rounds(10);
  expect(asked.length).toBeGreaterThanOrEqual(9);
  expect(asked.length).toBeLessThanOrEqual(10);
  expect(asked[0]!.expected).toEqual({
    [ENDPOINT_TYPE]: heldChecksum(sent[ENDPOINT_TYPE]!),
    [CLUSTER_TYPE]: heldChecksum(sent[CLUSTER_TYPE]!),
  });
  expect([done, warned]).toEqual([[], []]);
  expect(each.stateOf(ID)).toMatchObject({ checkedAt: expect.any(Number) as number, differing: [] });
  expect(each.mismatches).toEqual({ proxy: 0, translation: 0 });
});

test.each<readonly [string, () => void, string]>([
  ["lost", () => held[ENDPOINT_TYPE]!.pop(), "b: missing"],
  ["lost with all of its type", () => void delete held[ENDPOINT_TYPE], "a: missing; b: missing"],
  ["has in another version", () => (held[ENDPOINT_TYPE]![1] = resource("b", "b0")), "b: has b0:"],
  [
    "has damaged",
    () => (held[ENDPOINT_TYPE]![1] = { ...resource("b", "b1"), bytes: Uint8Array.of(7) }),
    "b: has b1:",
  ],
])("what a proxy has %s in two rounds is told, counted and sent again", async (_what, alter, text) => {
  using each = reconciler();
  await rounds(1);
  alter();
  await rounds(1);
  expect([done, each.differing]).toEqual([[], 0]);
  await rounds(1);
  expect(done).toHaveLength(1);
  expect(done[0]).toContain("resend ");
  expect(warned[0]).toContain(text);
  expect(warned[0]).toContain(ID);
  expect(each.differing).toBe(1);
  expect(each.stateOf(ID)).toMatchObject({
    differing: [ENDPOINT_TYPE],
    differingSince: expect.any(Number) as number,
  });
  await rounds(1);
  expect(each.differing).toBe(0);
  expect(each.stateOf(ID)).toMatchObject({ differing: [] });
  expect(each.mismatches.proxy).toBe(1);
});

test("a proxy that does not become well by sending again has its stream begin anew, less and less often", async () => {
  using each = reconciler();
  obeys = false;
  held[ENDPOINT_TYPE]!.pop();
  await rounds(40);
  expect(done).toEqual(["resend b", "restart", "restart", "restart", "restart"]);
  expect(each.mismatches.proxy).toBe(1);
});

test("what a proxy has too much cannot be sent again: its stream begins anew", async () => {
  using _each = reconciler();
  held[ENDPOINT_TYPE]!.push(resource("gone", "1"));
  await rounds(3);
  expect(done.slice(0, 2)).toEqual(["resend gone", "restart"]);
  expect(warned[0]).toContain("gone: not (any more) to be there");
});

test("what changes while a proxy answers is no difference", async () => {
  using each = reconciler();
  onAsked = () => {
    sent[ENDPOINT_TYPE] = [resource("a", `a${asked.length + 1}`)];
  };
  await rounds(6);
  expect([done, warned, each.differing]).toEqual([[], [], 0]);
});

test("what the control plane itself had missed is told and counted", async () => {
  using each = reconciler();
  healed = ["a"];
  await rounds(1);
  expect(each.mismatches).toEqual({ proxy: 0, translation: 1 });
  expect(warned[0]).toContain("a change had passed unnoticed");
});

test.each<readonly [string, () => unknown]>([
  ["refuses", () => Promise.reject(new Error("no"))],
  ["tells nonsense", () => ({ types: { [ENDPOINT_TYPE]: 5 } })],
  ["tells nothing", () => null],
])("a proxy that %s is left alone, and that is told", async (_what, says) => {
  using each = reconciler([{ ...agent, ask: async () => says() }]);
  await rounds(3);
  expect(done).toEqual([]);
  expect(each.stateOf(ID)?.error).toBeTypeOf("string");
});

test("proxies that cannot say what they hold are not asked, and nobody is with an interval of 0", async () => {
  using each = reconciler([{ ...agent, queries: new Set(["why"]) }]);
  using never = reconciler([agent], 0);
  await rounds(3);
  expect(asked).toEqual([]);
  expect([each.stateOf(ID), never.stateOf(ID)]).toEqual([undefined, undefined]);
});
