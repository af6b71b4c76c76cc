import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { claimStateDirectory } from "./state-format.js";

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-state-"));
  path = join(directory, "format.json");
});

afterEach(() => rm(directory, { recursive: true }));

test("a directory gets its format once, readable by its owner only", async () => {
  await claimStateDirectory(directory);
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ format: 1 });
  expect((await stat(path)).mode & 0o077).toBe(0);
  const { mtimeMs } = await stat(path);
  await claimStateDirectory(directory);
  expect((await stat(path)).mtimeMs).toBe(mtimeMs);
});

test.each([
  ['{"format":2,"writtenBy":"9.0.0"}', "has format 2"],
  ['{"format":"1"}', 'has format "1"'],
  ["{", "has format null"],
  ["null", "has format null"],
])("a directory with %s is refused and stays as it is", async (text, why) => {
  await writeFile(path, text);
  await expect(claimStateDirectory(directory)).rejects.toMatchObject({
    code: "AGENT_STATE_FORMAT",
    message: expect.stringContaining(why) as string,
  });
  expect(await readFile(path, "utf8")).toBe(text);
});
