import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { systemClock } from "../clock.js";
import { silentLogger } from "../logger.js";
import { WatchedFiles } from "./watched-files.js";

let directory: string;
let files: WatchedFiles;
let changes: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tulle-files-"));
  files = new WatchedFiles({ clock: systemClock, logger: silentLogger, settleMs: 10 });
  changes = [];
  files.onChanged((paths) => changes.push(...paths));
});

afterEach(() => {
  files[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

const path = (name: string): string => join(directory, name);
const write = (name: string, text: string): void => writeFileSync(path(name), text);
/** Until a change of something else has been told. */
async function settled(): Promise<void> {
  const mark = `mark-${changes.length}`;
  write(mark, "");
  files.read(path(mark));
  write(mark, "changed");
  await eventually(() => changes.includes(path(mark)));
  changes = changes.filter((each) => !each.includes("mark-"));
}

test("a file that is written or replaced by another is told of, one that is written as it was is not", async () => {
  write("a", "1");
  expect(files.read(path("a"))).toBe("1");
  write("a", "1");
  await settled();
  expect(changes).toEqual([]);
  write("next", "2");
  renameSync(path("next"), path("a"));
  await eventually(() => changes.includes(path("a")));
  expect(files.read(path("a"))).toBe("2");
});

test("a link that is turned around is told of, as Kubernetes does it", async () => {
  for (const [name, text] of [
    ["one", "1"],
    ["two", "2"],
  ] as const) {
    mkdirSync(path(name));
    write(`${name}/a`, text);
  }
  symlinkSync("one", path("data"));
  symlinkSync("data/a", path("a"));
  expect(files.read(path("a"))).toBe("1");
  symlinkSync("two", path("data-next"));
  renameSync(path("data-next"), path("data"));
  await eventually(() => changes.includes(path("a")));
  expect(files.read(path("a"))).toBe("2");
});

test("a file that is removed is no change, unless it need not be there; that it comes is one", async () => {
  write("needed", "1");
  write("optional", "1");
  files.read(path("needed"));
  expect(files.readIfPresent(path("optional"))).toBe("1");
  expect(files.readIfPresent(path("later"))).toBeUndefined();
  expect(() => files.read(path("missing"))).toThrow(/missing cannot be read: ENOENT/);
  unlinkSync(path("needed"));
  unlinkSync(path("optional"));
  await eventually(() => changes.includes(path("optional")));
  expect(changes).toEqual([path("optional")]);
  write("later", "1");
  write("missing", "1");
  await eventually(() => changes.includes(path("later")) && changes.includes(path("missing")));
});

test("what nobody tells of is found by looking, as often as is said", async () => {
  write("a", "1");
  const looking = new WatchedFiles({
    clock: systemClock,
    logger: silentLogger,
    settleMs: 3_600_000,
    lookEveryMs: 10,
  });
  const seen: string[] = [];
  looking.onChanged((paths) => seen.push(...paths));
  looking.read(path("a"));
  write("a", "2");
  await eventually(() => seen.includes(path("a")));
  looking[Symbol.dispose]();
});
