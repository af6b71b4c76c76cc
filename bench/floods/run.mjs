#!/usr/bin/env node
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { usage } from "../harness/process-usage.mjs";
import { delay, freePort, listening, pinned, start, stopAll } from "../harness/spawned.mjs";
import { tulleHop, tullePair } from "../peers/tulle.mjs";
import { HTTP1_ATTACKS, HTTP2_ATTACKS } from "./attacks.mjs";

/**
 * Attacks on a sidecar with an honest client beside them: `npm run bench:floods`. The proxy has a CPU of its own where
 * there are two; attacker, honest client and application share the other one, each in its own process.
 */
const USAGE = `usage: npm run bench:floods -- [--seconds N] [--only TEXT] [--door upstream|inbound|both]

  --seconds  of each attack (3)
  --only     attacks whose name has this text
  --door     upstream: the listener of the application beside the sidecar; inbound: clients without a certificate (both)
`;
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    door: { type: "string", default: "both" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const SECONDS = Number(values.seconds);
const DOORS = values.door === "both" ? ["upstream", "inbound"] : [values.door];
/** What must hold for the honest client, and for the proxy. */
const MAX_P99_MS = 100;
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;
const SAMPLE_MS = 100;
/** The honest client must get the CPU when it has something to do; on a busy machine: `chrt -r 1 npm run bench:floods`. */
const ATTACKER = ["chrt", "-o", "0", "nice", "-n", "5"];
/** After an attack: what it left behind must not count for the next one. */
const REST_MS = 500;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const two = cpus().length >= 2;
const proxyCpu = two ? 0 : undefined;
const loadCpu = two ? 1 : undefined;
const directory = mkdtempSync(join(tmpdir(), "tulle-floods-"));
const names = [...Object.keys(HTTP2_ATTACKS), ...Object.keys(HTTP1_ATTACKS)].filter((name) =>
  name.includes(values.only),
);

try {
  process.exitCode = await run();
} finally {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
}

async function run() {
  const context = { directory, proxyCpu, loadCpu };
  const app = { port: await freePort(), protocol: "http" };
  const origin = start(process.execPath, [join(HERE, "origin.mjs")], {
    cpu: loadCpu,
    log: join(directory, "origin.log"),
    env: { PORT: String(app.port) },
  });
  await listening(app.port, origin);
  const doors = [];
  if (DOORS.includes("upstream")) {
    const { port, pids } = await tulleHop.start(context, app);
    doors.push({ name: "upstream", port, pids });
  }
  if (DOORS.includes("inbound")) {
    const { far } = await tullePair.start(context, app);
    doors.push({ name: "inbound", port: far.port, pids: far.pids });
  }
  print([
    "door",
    "attack",
    "honest p50",
    "p99",
    "errors",
    "RSS growth",
    "closed",
    "closed after",
    "CPU ours/theirs",
    "",
  ]);
  let failures = 0;
  for (const door of doors) {
    print([door.name, "none", ...(await measure(door, undefined)).cells]);
    for (const name of names) {
      const { cells, ok } = await measure(door, name);
      if (!ok) failures++;
      print([door.name, name, ...cells]);
      await delay(REST_MS);
    }
  }
  process.stdout.write(
    `${failures} of ${doors.length * names.length} attacks miss p99 < ${MAX_P99_MS} ms, RSS growth < ${MAX_GROWTH_BYTES / 1048576} MiB, no error\n`,
  );
  return failures === 0 ? 0 : 1;
}

async function measure(door, name) {
  const before = usage(door.pids);
  let peakBytes = before.rssBytes;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, usage(door.pids).rssBytes);
  }, SAMPLE_MS);
  const [honest, attacker] = await Promise.all([
    program(["honest-client.mjs", String(door.port), String(SECONDS)]),
    name === undefined
      ? undefined
      : program(["attacker.mjs", name, String(door.port), String(SECONDS)], ATTACKER),
  ]);
  clearInterval(sampler);
  const after = usage(door.pids);
  const growth = peakBytes - before.rssBytes;
  const errors = Object.values(honest.errors).reduce((sum, count) => sum + count, 0);
  const ratio = attacker === undefined ? "" : (after.cpuSeconds - before.cpuSeconds) / attacker.cpuSeconds;
  const ok = honest.p99 < MAX_P99_MS && growth < MAX_GROWTH_BYTES && errors === 0;
  const cells = [
    `${honest.p50.toFixed(1)} ms`,
    `${honest.p99.toFixed(1)} ms`,
    errors === 0 ? "0" : `${errors}: ${Object.keys(honest.errors).join("; ")}`,
    `${(growth / 1048576).toFixed(1)} MiB`,
    attacker === undefined ? "" : `${attacker.closed} of ${attacker.opened}`,
    attacker?.closedAfterMs === undefined ? "" : `${attacker.closedAfterMs} ms`,
    ratio === "" ? "" : ratio.toFixed(2),
    ok ? "" : "MISSED",
  ];
  return { cells, ok };
}

/** Runs one of our programs beside the proxy; gives what it printed. */
function program([file, ...args], before = []) {
  const [first, ...rest] = [...before, process.execPath, join(HERE, file), ...args];
  const [command, words] = pinned(first, rest, loadCpu);
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => (text += String(chunk)));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`${file} ended with ${code}`));
    });
  });
}

function print(cells) {
  const widths = [9, 30, 11, 10, 7, 11, 14, 13, 16, 0];
  process.stdout.write(`${cells.map((cell, i) => String(cell).padEnd(widths[i] ?? 0)).join(" ")}\n`);
}
