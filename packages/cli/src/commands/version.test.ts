import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { runTulle, startRecorded } from "./testdata/harness.js";

const BIN = fileURLToPath(new URL("../../bin/tulle.mjs", import.meta.url));
const BUILT = existsSync(fileURLToPath(new URL("../../dist/main.js", import.meta.url)));

test("tulle version shows both versions", async () => {
  const { url, server } = await startRecorded({ version: "9.8.7" });
  const run = await runTulle(["version"], { server: url });
  server.close();
  server.closeAllConnections();
  expect(run.out).toMatch(/^tulle \d+\.\d+\.\d+ \(Node\.js \d+\.\d+\.\d+\)\ncontrol plane 9\.8\.7\n$/);
});

test("tulle version needs no control plane", async () => {
  const run = await runTulle(["version", "-o", "json"], { server: "http://127.0.0.1:1" });
  expect(run.code).toBe(0);
  expect(JSON.parse(run.out)).toEqual({ client: expect.stringMatching(/^\d/), node: process.versions.node });
  expect(run.err).toContain("no control plane");
  expect((await runTulle(["version", "--client"], { server: "http://127.0.0.1:1" })).err).toBe("");
});

test.each(["apply", "delete", "get", "describe", "status", "completion", "version"])(
  "tulle %s --help ends with examples",
  async (command) => {
    const { code, out } = await runTulle([command, "--help"]);
    expect(code).toBe(0);
    const [, examples = ""] = out.split("Examples:\n");
    expect(examples).toMatch(new RegExp(`^ {2}[$>] (.* )?tulle ${command}`, "m"));
  },
);

test("tulle says what it was given wrong, and exits 2", async () => {
  const run = await runTulle(["aply"]);
  expect([run.code, run.out]).toEqual([2, ""]);
  expect(run.err).toContain("(Did you mean apply?)");
});

test.skipIf(!BUILT)("the built tulle prints its help with exit codes", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [BIN, "--help"]);
  for (const command of ["up", "run", "apply", "get", "status", "completion"]) {
    expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
  }
  expect(stdout).toContain("Exit codes: 0 done");
});
