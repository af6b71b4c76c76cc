import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { silentLogger } from "@tulle/base";
import type { ResourceChange } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { ConfigCache } from "./config-cache.js";

let directory: string;
const resource: ResourceChange = {
  typeUrl: "t",
  name: "n",
  version: "1",
  bytes: new Uint8Array([1, 2, 255]),
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-cache-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function cacheOf(owner: string, clock = new FakeClock()): ConfigCache {
  return new ConfigCache(directory, owner, () => [resource], clock, silentLogger);
}

test("ConfigCache gives back what it wrote, readable by its owner alone", async () => {
  const cache = cacheOf("a");
  expect(await cache.load()).toEqual([]);
  cache.touch();
  await cache.flush();
  expect(await cacheOf("a").load()).toEqual([resource]);
  expect(await cacheOf("b").load()).toEqual([]);
  const { mode } = await stat(join(directory, "configuration.json"));
  expect(mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(["configuration.json"]);
});

test("ConfigCache does not use a damaged file", async () => {
  for (const text of [
    "",
    "{",
    "[]",
    '{"format":1,"owner":"a","resources":[{}]}',
    '{"format":2,"owner":"a","resources":[]}',
  ]) {
    await writeFile(join(directory, "configuration.json"), text);
    expect(await cacheOf("a").load()).toEqual([]);
  }
});

test("ConfigCache writes a second after the first change", async () => {
  const clock = new FakeClock();
  const cache = cacheOf("a", clock);
  cache.touch();
  cache.touch();
  await clock.advance(900);
  expect(await readdir(directory)).toEqual([]);
  await clock.advance(200);
  await cache.flush();
  expect(await readdir(directory)).toEqual(["configuration.json"]);
});
