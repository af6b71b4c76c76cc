import { MeshError } from "@tulle/base";
import { expect, test } from "vitest";

import type { Answer, Phase } from "./subscription.js";
import { SotwSubscription } from "./subscription-sotw.js";
import { CLUSTER_TYPE, ENDPOINT_TYPE, type EncodedResource } from "./types.js";

// Transcripts of https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol

class Transcript {
  readonly subscription: SotwSubscription;
  readonly resources = new Map<string, EncodedResource>();
  #nonce = 0;

  constructor(typeUrl = ENDPOINT_TYPE, maxNames?: number) {
    this.subscription = new SotwSubscription({
      typeUrl,
      nextNonce: () => `n${++this.#nonce}`,
      ...(maxNames === undefined ? {} : { maxNames }),
    });
  }

  set(name: string, version: string | undefined): void {
    if (version === undefined) this.resources.delete(name);
    else this.resources.set(name, { typeUrl: ENDPOINT_TYPE, name, version, bytes: new Uint8Array() });
    this.subscription.mark(name);
  }

  client(resourceNames: readonly string[], responseNonce = "", error?: string) {
    return this.subscription.request({ resourceNames, responseNonce, error });
  }

  server(phase: Phase = "make"): Answer | undefined {
    return this.subscription.answer(phase, (name) => this.resources.get(name));
  }
}

function content(answer: Answer | undefined): Record<string, string> | undefined {
  return answer && Object.fromEntries(answer.resources.map((resource) => [resource.name, resource.version]));
}

test("SotwSubscription answers the first request with what exists", () => {
  const t = new Transcript();
  t.set("a", "1");
  expect(t.client(["a", "b"])).toEqual({
    acknowledgement: { kind: "none" },
    subscribed: ["a", "b"],
    unsubscribed: [],
  });
  const answer = t.server();
  expect(content(answer)).toEqual({ a: "1" });
  expect(answer?.nonce).toBe("n1");
});

test("SotwSubscription answers the first request even when nothing exists", () => {
  const t = new Transcript();
  t.client(["a"]);
  expect(content(t.server())).toEqual({});
});

test("SotwSubscription sends nothing after an ACK until something changes", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  expect(t.client(["a"], "n1").acknowledgement).toEqual({ kind: "ack", nonce: "n1" });
  expect(t.server()).toBeUndefined();
  t.set("a", "1");
  expect(t.server()).toBeUndefined();
  t.set("a", "2");
  expect(content(t.server())).toEqual({ a: "2" });
});

test("SotwSubscription holds one response in flight and replaces what is pending", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.set("a", "2");
  t.set("a", "3");
  expect(t.server()).toBeUndefined();
  t.client(["a"], "n1");
  expect(content(t.server())).toEqual({ a: "3" });
});

test("SotwSubscription does not push a refused version again", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  expect(t.client(["a"], "n1", "a: bad cluster").acknowledgement).toEqual({
    kind: "nack",
    nonce: "n1",
    message: "a: bad cluster",
  });
  expect(t.server()).toBeUndefined();
  expect(t.subscription.stateOf("a")).toBe("nack");
  t.set("a", "2");
  expect(content(t.server())).toEqual({ a: "2" });
  t.client(["a"], "n2");
  expect(t.subscription.refused.size).toBe(0);
  expect(t.subscription.stateOf("a")).toBe("synced");
});

test("SotwSubscription blames only what the refused response changed", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client(["a", "b"]);
  t.server();
  t.client(["a", "b"], "n1");
  t.set("b", "2");
  t.server();
  t.client(["a", "b"], "n2", "does not parse");
  expect([...t.subscription.refused.keys()]).toEqual(["b"]);
});

test("SotwSubscription forgets a refusal when the resource goes back to what was accepted", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.client(["a"], "n1");
  t.set("a", "2");
  t.server();
  t.client(["a"], "n2", "no");
  t.set("a", "1");
  expect(content(t.server())).toEqual({ a: "1" });
  expect(t.subscription.refused.size).toBe(0);
});

test("SotwSubscription ignores a request with a stale nonce whole", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.client(["a"], "n1");
  t.set("a", "2");
  t.server();
  expect(t.client(["a", "b"], "n1")).toEqual({
    acknowledgement: { kind: "stale", nonce: "n1" },
    subscribed: [],
    unsubscribed: [],
  });
  expect(t.subscription.inFlight).toBe("n2");
  expect(t.client(["a", "b"], "n2").subscribed).toEqual(["b"]);
});

test("SotwSubscription takes names with an empty nonce while a response is in flight", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client(["a"]);
  t.server();
  expect(t.client(["a", "b"]).subscribed).toEqual(["b"]);
  expect(t.server()).toBeUndefined();
  t.client(["a", "b"], "n1");
  expect(content(t.server())).toEqual({ a: "1", b: "1" });
});

test("SotwSubscription takes new names together with the ACK", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client(["a"]);
  t.server();
  expect(t.client(["a", "b"], "n1")).toEqual({
    acknowledgement: { kind: "ack", nonce: "n1" },
    subscribed: ["b"],
    unsubscribed: [],
  });
  expect(content(t.server())).toEqual({ a: "1", b: "1" });
});

test("SotwSubscription takes a nonce of an earlier stream in the first request as none", () => {
  const t = new Transcript();
  t.set("a", "1");
  expect(t.client(["a"], "old-7").acknowledgement).toEqual({ kind: "none" });
  expect(content(t.server())).toEqual({ a: "1" });
});

test("SotwSubscription treats a nonce that was settled already as a change of the subscription", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.client(["a"], "n1", "no");
  // Changes after a NACK repeat its nonce, without the error.
  expect(t.client(["a", "b"], "n1").acknowledgement).toEqual({ kind: "none" });
  expect(t.subscription.owed).toBe(true);
});

test("SotwSubscription sends a resource again that was dropped and asked for anew", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a", "b"]);
  t.server();
  expect(t.client(["b"], "n1").unsubscribed).toEqual(["a"]);
  expect(t.server()).toBeUndefined();
  t.client(["a", "b"], "n1");
  expect(content(t.server())).toEqual({ a: "1" });
});

test("SotwSubscription keeps what vanished until the break", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.set("b", "1");
  t.client(["a", "b"]);
  t.server();
  t.client(["a", "b"], "n1");
  t.set("a", undefined);
  expect(t.server()).toBeUndefined();
  expect(t.subscription.breaking).toBe(true);
  t.set("b", "2");
  expect(content(t.server())).toEqual({ a: "1", b: "2" });
  t.client(["a", "b"], "n2");
  expect(content(t.server("break"))).toEqual({ b: "2" });
  expect(t.subscription.breaking).toBe(false);
});

test("SotwSubscription breaks nothing when what vanished came back", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.client(["a"], "n1");
  t.set("a", undefined);
  t.server();
  t.set("a", "1");
  expect(t.server("break")).toBeUndefined();
});

// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
test("SotwSubscription takes a first request without names as the wildcard, for clusters", () => {
  const t = new Transcript(CLUSTER_TYPE);
  t.client([]);
  expect(t.subscription.wildcard).toBe(true);
  expect(content(t.server())).toEqual({});
  t.client([], "n1");
  t.set("a", "1");
  expect(content(t.server())).toEqual({ a: "1" });
  // Names end the legacy wildcard, and no names then mean none.
  t.client(["b"], "n2");
  expect(t.subscription.wildcard).toBe(false);
  t.client([], "n2");
  expect(t.subscription.wildcard).toBe(false);
  expect(t.subscription.names.size).toBe(0);
});

test("SotwSubscription takes no names as none for endpoints", () => {
  const t = new Transcript(ENDPOINT_TYPE);
  t.client([]);
  expect(t.subscription.wildcard).toBe(false);
  expect(t.server()).toBeUndefined();
});

test("SotwSubscription takes a star as the wildcard, beside names", () => {
  const t = new Transcript(ENDPOINT_TYPE);
  t.client(["*", "a"]);
  expect(t.subscription.wildcard).toBe(true);
  expect([...t.subscription.names]).toEqual(["a"]);
  t.set("z", "1");
  expect(content(t.server())).toEqual({ z: "1" });
});

test("SotwSubscription has equal versions for equal content in any order", () => {
  const one = new Transcript();
  const two = new Transcript();
  for (const name of ["a", "b"]) one.set(name, name);
  for (const name of ["b", "a"]) two.set(name, name);
  one.client(["a", "b"]);
  two.client(["b", "a"]);
  const version = one.server()?.version;
  expect(version).toMatch(/^[0-9a-f]{16}$/);
  expect(two.server()?.version).toBe(version);
  one.client(["a", "b"], "n1");
  one.set("a", "other");
  expect(one.server()?.version).not.toBe(version);
});

test("SotwSubscription refuses too many names and names that are none", () => {
  const t = new Transcript(ENDPOINT_TYPE, 2);
  expect(() => t.client(["a", "b", "c"])).toThrow(MeshError);
  expect(() => t.client([""])).toThrow(/1 to 2048/);
  expect(() => t.client(["x".repeat(2049)])).toThrow(/1 to 2048/);
});

test("SotwSubscription tells what the client has, and sends that again when it is told to", () => {
  const t = new Transcript();
  t.set("a", "1");
  t.client(["a"]);
  t.server();
  t.client(["a"], "n1");
  expect([...t.subscription.held()]).toEqual([["a", "1"]]);
  t.subscription.resend("other");
  expect(t.server()).toBeUndefined();
  t.subscription.resend("a");
  expect(content(t.server())).toEqual({ a: "1" });
});
