import { mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createLogger, silentLogger, systemClock } from "@tulle/base";
import { FakeClock, settle } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createAuditLog, type AuditRecord } from "./audit-log.js";
import { createRotatingFile } from "./rotating-file.js";

const RECORD: AuditRecord = {
  requestId: "r",
  who: "token:ci",
  from: "10.0.0.1",
  method: "PUT",
  path: "/x",
  outcome: "done",
  status: 200,
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-audit-"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test("write makes one line of JSON of a record, and cuts what is long", async () => {
  const lines: string[] = [];
  const log = createAuditLog({
    sink: (text) => Promise.resolve(void lines.push(text)),
    clock: systemClock,
    logger: silentLogger,
  });
  log.write({ ...RECORD, path: `/a\n"b${"x".repeat(10_000)}` });
  await log.close();
  expect(lines.join("").split("\n")).toHaveLength(2);
  expect(lines.join("").length).toBeLessThan(1000);
  expect(JSON.parse(lines.join(""))).toMatchObject({ who: "token:ci", outcome: "done", status: 200 });
});

test("write never waits: what is too much while the sink fails is counted, the rest is written later", async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const logger = createLogger({ write: (line) => said.push(line), now: () => 0 });
  const lines: string[] = [];
  let works = false;
  const log = createAuditLog({
    sink: (text) => {
      if (!works) return Promise.reject(new Error("disk full"));
      lines.push(...text.trimEnd().split("\n"));
      return Promise.resolve();
    },
    clock,
    logger,
  });
  for (let count = 0; count < 10_050; count++) log.write(RECORD);
  expect(log.dropped).toBe(50);
  await settle();
  expect(said.join("")).toMatch(/audit log is full.*cannot write the audit log/s);
  works = true;
  await clock.advance(1000);
  await settle();
  expect(lines).toHaveLength(10_000);
});

test("createRotatingFile begins anew before the file is too long, and keeps so many older ones", async () => {
  const path = join(directory, "audit.jsonl");
  const write = createRotatingFile({ path, maxBytes: 10, keep: 2 });
  for (const line of ["one\n", "two\n", "three\n", "four\n", "five\n", "a line that is too long\n"])
    await write(line);
  expect((await readdir(directory)).sort()).toEqual(["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
  const texts = await Promise.all(["", ".1", ".2"].map((end) => readFile(path + end, "utf8")));
  expect(texts).toEqual(["a line that is too long\n", "four\nfive\n", "three\n"]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("createRotatingFile goes on in a new file when another program has moved the old one", async () => {
  const path = join(directory, "audit.jsonl");
  const write = createRotatingFile({ path });
  await write("one\n");
  await rename(path, `${path}.moved`);
  await write("two\n");
  expect(await readFile(path, "utf8")).toBe("two\n");
  await createRotatingFile({ path })("three\n");
  expect(await readFile(path, "utf8")).toBe("two\nthree\n");
});
