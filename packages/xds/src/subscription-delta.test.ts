import fc from "fast-check";
import { expect, test } from "vitest";

import type { Answer, Phase } from "./subscription.js";
import { DeltaSubscription, type DeltaRequest } from "./subscription-delta.js";
import { CLUSTER_TYPE, ENDPOINT_TYPE, type EncodedResource } from "./types.js";

// Transcripts of https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds

class Transcript {
  readonly subscription: DeltaSubscription;
  readonly resources = new Map<string, EncodedResource>();
  #nonce = 0;

  constructor(typeUrl = ENDPOINT_TYPE, maxNames = 100) {
    this.subscription = new DeltaSubscription({ typeUrl, maxNames, nextNonce: () => `n${++this.#nonce}` });
  }

  set(name: string, version: string | undefined): void {
    if (version === undefined) this.resources.delete(name);
    else this.resources.set(name, { typeUrl: ENDPOINT_TYPE, name, version, bytes: new Uint8Array() });
    this.subscription.mark(name);
  }

  client(request: Partial<DeltaRequest>) {
    return this.subscription.request({
      subscribe: [],
      unsubscribe: [],
      initialVersions: [],
      responseNonce: "",
      error: undefined,
      ...request,
    });
  }

  server(phase: Phase = "make") {
    return content(this.subscription.answer(phase, (name) => this.resources.get(name)));
  }
}

function content(answer: Answer | undefined) {
  return (
    answer && {
      resources: Object.fromEntries(answer.resources.map(({ name, version }) => [name, version])),
      removed: [...answer.removed].sort(),
    }
  );
}

test("DeltaSubscription answers a subscription with what exists and names what does not", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a", "b"] });
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: ["b"] });
});

test("DeltaSubscription sends only what changed", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client({ subscribe: ["a", "b"] });
  t.server();
  expect(t.client({ responseNonce: "n1" }).acknowledgement).toEqual({ kind: "ack", nonce: "n1" });
  t.set("a", "1");
  t.set("b", "2");
  expect(t.server()).toEqual({ resources: { b: "2" }, removed: [] });
});

test("DeltaSubscription sends a name that was missing once it exists, and says absent only once", () => {
  const t = new Transcript();
  t.client({ subscribe: ["a"] });
  expect(t.server()).toEqual({ resources: {}, removed: ["a"] });
  t.client({ responseNonce: "n1" });
  t.set("a", undefined);
  expect(t.server()).toBeUndefined();
  t.set("a", "1");
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
});

test("DeltaSubscription sends a reconnecting client only what differs", () => {
  const t = new Transcript();
  t.set("same", "1");
  t.set("changed", "2");
  t.set("new", "1");
  t.client({
    subscribe: ["same", "changed", "new", "gone"],
    initialVersions: [
      ["same", "1"],
      ["changed", "1"],
      ["gone", "1"],
      ["unasked", "1"],
    ],
  });
  expect(t.server()).toEqual({ resources: { changed: "2", new: "1" }, removed: [] });
  t.client({ responseNonce: "n1" });
  expect(t.server("break")).toEqual({ resources: {}, removed: ["gone"] });
});

test("DeltaSubscription sends a reconnecting client nothing when nothing differs", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a"], initialVersions: [["a", "1"]] });
  expect(t.server()).toBeUndefined();
  expect(t.server("break")).toBeUndefined();
  expect(t.subscription.stateOf("a")).toBe("synced");
});

test("DeltaSubscription ignores initial versions after the first request", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["x"] });
  t.server();
  t.client({ responseNonce: "n1", subscribe: ["a"], initialVersions: [["a", "1"]] });
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
});

test("DeltaSubscription sends again what is asked for again", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a"] });
  t.server();
  t.client({ responseNonce: "n1" });
  expect(t.client({ subscribe: ["a"] }).subscribed).toEqual([]);
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
});

test("DeltaSubscription sends nothing for a name that was unsubscribed", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a"] });
  t.server();
  expect(t.client({ responseNonce: "n1", unsubscribe: ["a", "never"] }).unsubscribed).toEqual(["a"]);
  t.set("a", "2");
  expect(t.server()).toBeUndefined();
  t.client({ subscribe: ["a"] });
  expect(t.server()).toEqual({ resources: { a: "2" }, removed: [] });
});

test("DeltaSubscription removes what vanished in the break and sends it when it comes back", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a"] });
  t.server();
  t.client({ responseNonce: "n1" });
  t.set("a", undefined);
  expect(t.server()).toBeUndefined();
  expect(t.server("break")).toEqual({ resources: {}, removed: ["a"] });
  t.client({ responseNonce: "n2" });
  t.set("a", "1");
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
});

test("DeltaSubscription says nothing when what vanished came back before the break", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client({ subscribe: ["a"] });
  t.server();
  t.client({ responseNonce: "n1" });
  t.set("a", undefined);
  t.server();
  t.set("a", "1");
  expect(t.server()).toBeUndefined();
  expect(t.server("break")).toBeUndefined();
});

test("DeltaSubscription does not push a refused version again, and says which name was refused", () => {
  const t = new Transcript();
  t.set("good", "1");
  t.set("bad", "1");
  t.client({ subscribe: ["good", "bad"] });
  t.server();
  t.client({ responseNonce: "n1", error: "bad: no such cluster" });
  expect(t.server()).toBeUndefined();
  expect(t.subscription.stateOf("bad")).toBe("nack");
  expect(t.subscription.stateOf("good")).toBe("synced");
  // Other changes leave the refusal standing; a new version lifts it.
  t.set("good", "2");
  t.server();
  t.client({ responseNonce: "n2" });
  expect(t.subscription.stateOf("bad")).toBe("nack");
  t.set("bad", "2");
  expect(t.server()).toEqual({ resources: { bad: "2" }, removed: [] });
  expect(t.subscription.stateOf("bad")).toBe("stale");
});

test("DeltaSubscription takes changes of the subscription even with a stale nonce", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client({ subscribe: ["a"] });
  t.server();
  expect(t.client({ responseNonce: "foreign", subscribe: ["b"] })).toEqual({
    acknowledgement: { kind: "stale", nonce: "foreign" },
    subscribed: ["b"],
    unsubscribed: [],
  });
  expect(t.server()).toBeUndefined();
  t.client({ responseNonce: "n1" });
  expect(t.server()).toEqual({ resources: { b: "1" }, removed: [] });
});

test("DeltaSubscription takes a first request without names as the wildcard, for clusters", () => {
  const t = new Transcript(CLUSTER_TYPE);
  t.client({});
  expect(t.subscription.wildcard).toBe(true);
  expect(t.server()).toEqual({ resources: {}, removed: [] });
  t.client({ responseNonce: "n1" });
  t.set("a", "1");
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
  t.client({ responseNonce: "n2" });
  // Naming one does not end the wildcard; unsubscribing the star does.
  t.client({ subscribe: ["a"] });
  t.server();
  t.client({ responseNonce: "n3", unsubscribe: ["*"] });
  expect(t.subscription.wildcard).toBe(false);
  expect([...t.subscription.names]).toEqual(["a"]);
  t.set("b", "1");
  expect(t.server()).toBeUndefined();
});

test("DeltaSubscription does not take a first request without names as the wildcard for endpoints", () => {
  const t = new Transcript(ENDPOINT_TYPE);
  t.client({});
  expect(t.subscription.wildcard).toBe(false);
  expect(t.server()).toBeUndefined();
});

test("DeltaSubscription tells a wildcard client about a name that it let go", () => {
  const t = new Transcript(ENDPOINT_TYPE);
  t.client({ subscribe: ["*", "a"] });
  t.set("a", "1");
  t.server();
  t.client({ responseNonce: "n1", unsubscribe: ["a"] });
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: [] });
});

test("DeltaSubscription refuses too many names, initial versions included", () => {
  const t = new Transcript(ENDPOINT_TYPE, 2);
  t.client({ subscribe: ["a", "b"] });
  expect(() => t.client({ subscribe: ["c"] })).toThrow(/2 names/);
  const u = new Transcript(ENDPOINT_TYPE, 1);
  expect(() =>
    u.client({
      initialVersions: [
        ["a", "1"],
        ["b", "1"],
      ],
    }),
  ).toThrow(/1 names/);
});

test("DeltaSubscription leaves the client with exactly what exists, whatever happened before", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ do: fc.constant("subscribe" as const), name }),
    fc.record({ do: fc.constant("unsubscribe" as const), name }),
    fc.record({ do: fc.constant("set" as const), name, version: fc.constantFrom("1", "2") }),
    fc.record({ do: fc.constant("delete" as const), name }),
    fc.record({ do: fc.constant("settle" as const) }),
    fc.record({ do: fc.constant("reconnect" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let t = new Transcript();
      t.client({ subscribe: ["x"] });
      const has = new Map<string, string>();
      const wants = new Set<string>();

      const exchange = (): void => {
        for (const phase of ["make", "break", "make"] as const) {
          const answer = t.subscription.answer(phase, (each) => t.resources.get(each));
          if (answer === undefined) continue;
          for (const each of answer.resources) if (wants.has(each.name)) has.set(each.name, each.version);
          for (const each of answer.removed) has.delete(each);
          t.client({ responseNonce: answer.nonce });
        }
      };

      for (const each of steps) {
        if (each.do === "subscribe") {
          wants.add(each.name);
          t.client({ subscribe: [each.name] });
        } else if (each.do === "unsubscribe") {
          wants.delete(each.name);
          has.delete(each.name);
          t.client({ unsubscribe: [each.name] });
        } else if (each.do === "set") t.set(each.name, each.version);
        else if (each.do === "delete") t.set(each.name, undefined);
        else if (each.do === "settle") exchange();
        else {
          const next = new Transcript();
          for (const [key, resource] of t.resources) next.resources.set(key, resource);
          t = next;
          t.client({ subscribe: [...wants], initialVersions: [...has] });
        }
      }
      exchange();
      const expected = [...wants].flatMap((each) => {
        const resource = t.resources.get(each);
        return resource === undefined ? [] : [[each, resource.version] as const];
      });
      expect(has).toEqual(new Map(expected));
    }),
    { numRuns: 300 },
  );
});

test("DeltaSubscription tells what the client has, and sends that again when it is told to", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("other", "1");
  t.client({ subscribe: ["a", "b"] });
  t.server();
  t.client({ responseNonce: "n1" });
  expect([...t.subscription.held()]).toEqual([["a", "1"]]);
  for (const name of ["a", "b", "other"]) t.subscription.resend(name);
  expect(t.server()).toEqual({ resources: { a: "1" }, removed: ["b"] });
  t.client({ responseNonce: "n2" });
  expect([...t.subscription.held()]).toEqual([["a", "1"]]);
  expect(t.server()).toBeUndefined();
});
