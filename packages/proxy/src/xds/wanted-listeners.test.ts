import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";

import { VIRTUAL_OUTBOUND } from "./sidecar-configuration.js";
import { WantedListeners } from "./wanted-listeners.js";

test("WantedListeners wants a service once however often requests name it", () => {
  const wanted = new WantedListeners(["reviews:9080"]);
  expect([wanted.add("ratings"), wanted.add("ratings"), wanted.add("reviews:9080")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(wanted.names).toEqual(["reviews:9080", "ratings"]);
});

test("WantedListeners drops what is not named any more, and never what is fixed", () => {
  const wanted = new WantedListeners(["reviews:9080"]);
  wanted.add("ratings");
  for (let sweeps = 0; sweeps < 10; sweeps++) expect(wanted.sweep()).toBe(false);
  expect(wanted.sweep()).toBe(true);
  expect(wanted.names).toEqual(["reviews:9080"]);
});

test("WantedListeners wants services of a kept configuration again", () => {
  const wanted = new WantedListeners(["reviews:9080"]);
  wanted.addKept([
    { typeUrl: LISTENER_TYPE, name: "ratings" },
    { typeUrl: LISTENER_TYPE, name: VIRTUAL_OUTBOUND },
    { typeUrl: LISTENER_TYPE, name: "reviews:9080" },
    { typeUrl: CLUSTER_TYPE, name: "outbound|80||a" },
  ]);
  expect(wanted.names).toEqual(["reviews:9080", "ratings"]);
});
