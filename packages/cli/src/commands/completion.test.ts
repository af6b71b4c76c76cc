import { fileURLToPath } from "node:url";

import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

import { runTulle, startHarness, type CliHarness } from "./testdata/harness.js";

const TESTDATA = fileURLToPath(new URL("./testdata/", import.meta.url));

let mesh: CliHarness;

beforeAll(async () => {
  mesh = await startHarness();
  await mesh.tulle(["apply", "-f", `${TESTDATA}shop.yaml`]);
});

afterAll(() => mesh.close());
afterEach(() => vi.restoreAllMocks());

/** Candidates for the last word; the completion library writes to the console. */
async function candidates(...words: readonly string[]): Promise<readonly string[]> {
  const written: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: unknown) => void written.push(String(line)));
  const { code, out } = await mesh.tulle(["complete", "--", ...words]);
  expect(code).toBe(0);
  const lines = [...written, ...out.split("\n")].filter((line) => line !== "");
  expect(lines.at(-1)).toMatch(/^:\d+$/);
  return lines.slice(0, -1).map((line) => line.split("\t")[0] ?? "");
}

test("tulle complete offers commands, but none that is hidden", async () => {
  expect(await candidates("de")).toEqual(["demo", "delete", "describe"]);
  const all = await candidates("");
  expect(all).toEqual(expect.arrayContaining(["up", "run", "apply", "status", "completion", "version"]));
  expect(all).not.toContain("complete");
});

test("tulle complete offers options and the values they may have", async () => {
  expect(await candidates("get", "--out")).toEqual(["--output"]);
  expect(await candidates("get", "--output", "")).toEqual(["table", "wide", "json", "yaml", "name"]);
  expect(await candidates("completion", "")).toEqual(["zsh", "bash", "fish", "powershell"]);
});

test("tulle complete offers kinds, then the names that there are", async () => {
  expect(await candidates("describe", "dest")).toEqual(["destinationrules"]);
  expect(await candidates("get", "services")).toEqual(["servicesplitters", "services"]);
  expect(await candidates("delete", "vs", "")).toEqual(["reviews"]);
  expect(await candidates("get", "-o", "json", "vs", "reviews", "")).toEqual([]);
  expect(await candidates("get", "vs", "--namespace", "elsewhere", "")).toEqual([]);
});

test("tulle complete offers no names when there is no control plane, quietly", async () => {
  expect(await candidates("get", "--server", "http://127.0.0.1:1", "vs", "")).toEqual([]);
});

test("tulle complete offers paths where paths are wanted", async () => {
  expect(await candidates("apply", "-f", `${TESTDATA}sho`)).toEqual([`${TESTDATA}shop.yaml`]);
  expect(await candidates("run", "--service", "a", "--", "cat", `${TESTDATA}wro`)).toEqual([
    `${TESTDATA}wrong.yaml`,
  ]);
  expect(await candidates("up", "--data-dir", TESTDATA.slice(0, -2))).toEqual([TESTDATA]);
  expect(await candidates("apply", "-f", "/nowhere/at/all")).toEqual([]);
});

test.each(["bash", "zsh", "fish", "powershell"])("tulle completion prints a script for %s", async (shell) => {
  const written: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: unknown) => void written.push(String(line)));
  expect((await runTulle(["completion", shell])).code).toBe(0);
  expect(written.join("\n")).toMatch(/tulle complete '?--/);
});

test("tulle completion refuses shells it does not know", async () => {
  const { code, err } = await runTulle(["completion", "tcsh"]);
  expect([code, err]).toEqual([
    2,
    expect.stringContaining("Allowed choices are bash, zsh, fish, powershell"),
  ]);
});
