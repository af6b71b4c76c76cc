import { createLoadTable, createSnapshotSource } from "@tulle/engine";
import { LISTENER_TYPE, NAME_TABLE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";

import { apiListener } from "../../test/resources.js";
import { nameTableResource, SidecarConfiguration, virtualOutboundResource } from "./sidecar-configuration.js";

function setup() {
  const taken: string[] = [];
  const taker = (name: string) => ({
    replace: (bytes: Uint8Array) => {
      if (bytes.length === 0) throw new Error("empty");
      taken.push(`${name} ${bytes.length}`);
    },
    clear: () => void taken.push(`${name} cleared`),
  });
  const engine = createSnapshotSource({ load: createLoadTable({ maxSlots: 16 }) });
  const configuration = new SidecarConfiguration(engine, [
    nameTableResource(taker("names")),
    virtualOutboundResource(taker("policy"), true),
  ]);
  return { configuration, taken };
}

const names = (bytes: Uint8Array | undefined) => ({
  typeUrl: NAME_TABLE_TYPE,
  name: "name-table",
  version: "1",
  bytes,
});
const policy = { typeUrl: LISTENER_TYPE, name: "virtualOutbound", version: "1", bytes: new Uint8Array(2) };

test("SidecarConfiguration subscribes to its own resources beside the engine's", () => {
  const { configuration } = setup();
  const wanted = configuration.wanted(["reviews:9080"]);
  expect([...(wanted.get(LISTENER_TYPE) ?? [])]).toEqual(["reviews:9080", "virtualOutbound"]);
  expect([...(wanted.get(NAME_TABLE_TYPE) ?? [])]).toEqual(["name-table"]);
});

test("SidecarConfiguration is complete without what is not required", () => {
  const taker = { replace: () => undefined, clear: () => undefined };
  const engine = createSnapshotSource({ load: createLoadTable({ maxSlots: 16 }) });
  const configuration = new SidecarConfiguration(engine, [virtualOutboundResource(taker, false)]);
  expect(configuration.complete).toBe(true);
  expect(configuration.wanted([]).get(LISTENER_TYPE)).toContain("virtualOutbound");
});

test("SidecarConfiguration hands each resource to whom it belongs and keeps it for the disk", () => {
  const { configuration, taken } = setup();
  const listener = apiListener("reviews:9080", "r");
  expect(configuration.complete).toBe(false);
  expect(configuration.apply([names(new Uint8Array(3)), listener, policy])).toEqual([]);
  expect(taken).toEqual(["names 3", "policy 2"]);
  expect(configuration.complete).toBe(true);
  expect(configuration.current.outbound("reviews:9080")).toBeDefined();
  expect([...configuration.resources()].map(({ name }) => name).sort()).toEqual([
    "name-table",
    "reviews:9080",
    "virtualOutbound",
  ]);
});

test("SidecarConfiguration refuses what cannot be read and keeps the last good one", () => {
  const { configuration, taken } = setup();
  configuration.apply([names(new Uint8Array(3))]);
  expect(configuration.apply([names(new Uint8Array(0))])).toEqual([{ name: "name-table", message: "empty" }]);
  expect(taken).toEqual(["names 3"]);
  expect([...configuration.resources()]).toHaveLength(1);
});

test("SidecarConfiguration clears what does not exist or is forgotten", () => {
  const { configuration, taken } = setup();
  configuration.apply([names(new Uint8Array(3)), policy]);
  configuration.apply([names(undefined)]);
  configuration.forget(LISTENER_TYPE, ["virtualOutbound", "reviews:9080"]);
  expect(taken.slice(2)).toEqual(["names cleared", "policy cleared"]);
  expect([...configuration.resources()]).toEqual([]);
});
