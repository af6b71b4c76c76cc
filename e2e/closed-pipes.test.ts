import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, test } from "vitest";

import { Mesh } from "./support/mesh.js";

// `tulle … | head`: whoever reads may leave at any time, and that is no fault of anybody's.

const TULLE = fileURLToPath(new URL("../packages/cli/bin/tulle.mjs", import.meta.url));
const SHOP = fileURLToPath(new URL("../examples/shop", import.meta.url));

let mesh: Mesh;

beforeAll(async () => {
  mesh = await Mesh.start();
}, 60_000);

afterAll(() => mesh?.end());

interface Unread {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  /** What came out of the pipe that was still read. */
  readonly rest: string;
}

/** Runs `tulle` without anybody reading what it writes to `closed`. */
async function unread(closed: "stdout" | "stderr", args: readonly string[]): Promise<Unread> {
  const child = spawn(process.execPath, [TULLE, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  child[closed].destroy();
  let rest = "";
  child[closed === "stdout" ? "stderr" : "stdout"].setEncoding("utf8").on("data", (text) => (rest += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? undefined, rest };
}

test.each([
  ["--help", 0],
  ["test", 0],
  ["get", 0],
  ["version", 0],
])("tulle %s ends quietly with its own exit code when nobody reads it", async (command, code) => {
  const args =
    { test: [SHOP], get: ["services", "--server", mesh.server], version: ["--client"] }[command] ?? [];
  const done = await unread("stdout", [command, ...args]);
  expect(done.code).toBe(code);
  expect(done.rest).not.toContain("EPIPE");
  expect(done.rest).not.toContain("at ");
});

test("an exit code tells of failure though nobody reads the reason", async () => {
  expect(await unread("stderr", ["nonsense"])).toEqual({ code: 2, rest: "" });
  expect(await unread("stderr", ["apply", "-f", "/does/not/exist.yaml"])).toEqual({ code: 4, rest: "" });
});

test("a watch ends when nobody reads it", async () => {
  await mesh.apply(
    "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: one}\nspec: {egress: [{hosts: ['./*']}]}\n",
  );
  expect(await unread("stdout", ["get", "sidecars", "-w", "--server", mesh.server])).toEqual({
    code: 0,
    rest: "",
  });
});
