import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { readSources } from "./source-files.js";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-sources-"));
});

afterEach(() => rm(directory, { recursive: true }));

async function read(names: readonly string[], recursive = false): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const { text } of readSources(names, { recursive, stdin: async () => "stdin" }))
    texts.push(text);
  return texts;
}

test("readSources reads a named file whatever its name, and of directories only YAML and JSON, in order", async () => {
  for (const name of ["b.yaml", "a.json", "c.yml", "d.txt"]) await writeFile(join(directory, name), name);
  expect(await read([join(directory, "d.txt"), "-", directory])).toEqual([
    "d.txt",
    "stdin",
    "a.json",
    "b.yaml",
    "c.yml",
  ]);
});

test("readSources follows links to files but none to directories, which may lead in circles", async () => {
  await mkdir(join(directory, "below"));
  await writeFile(join(directory, "below", "a.yaml"), "a");
  await symlink(directory, join(directory, "below", "circle"));
  await symlink(directory, join(directory, "circle.yaml"));
  await symlink(join(directory, "below", "a.yaml"), join(directory, "link.yaml"));
  expect(await read([directory], true)).toEqual(["a", "a"]);
});

test("readSources says that a directory has nothing to read", async () => {
  await mkdir(join(directory, "below"));
  await writeFile(join(directory, "below", "a.yaml"), "a");
  await expect(read([directory])).rejects.toThrow(/has no \.yaml, \.yml or \.json files; -R looks/);
  expect(await read([directory], true)).toEqual(["a"]);
});
