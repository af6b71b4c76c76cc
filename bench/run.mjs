/**
 * Proxies side by side, in one run on one machine: `npm run bench -- --help`.
 *
 * All proxies are started, then measured in turn, round after round (A B C A B C …): what else the machine does meets
 * all of them alike. See README.md for what is and is not compared.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeCertificates } from "./harness/certificates.mjs";
import { usage } from "./harness/process-usage.mjs";
import { installedVersion } from "./harness/program.mjs";
import { machine, markdown, summarise } from "./harness/report.mjs";
import { stopAll } from "./harness/spawned.mjs";
import { wrk } from "./harness/wrk.mjs";
import { direct } from "./peers/direct.mjs";
import { haproxyOneHop, haproxyPairHttp1, haproxyPairHttp2 } from "./peers/haproxy.mjs";
import { nginxOneHop, nginxPair, startOrigin } from "./peers/nginx.mjs";
import { tulleOneHop, tullePair } from "./peers/tulle.mjs";

const PEERS = [
  direct,
  nginxOneHop,
  haproxyOneHop,
  tulleOneHop,
  nginxPair,
  haproxyPairHttp1,
  haproxyPairHttp2,
  tullePair,
];

const HELP = `Usage: npm run bench -- [options]

  --only TEXT          only peers whose name or scenario contains TEXT (may be repeated)
  --seconds N          length of a measured run, default 5
  --rounds N           rounds over all peers, default 3
  --connections N      connections of the load, default 64
  --no-pin             do not pin processes to CPUs
  --keep               keep the directory with configurations and logs
  --json               print JSON instead of a table

Needs wrk, nginx (which is also the origin) and openssl; peers that are missing are skipped. scripts/peers.sh installs all.`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    "no-pin": { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (options.help) console.log(HELP);
else process.exitCode = await main();

async function main() {
  for (const program of ["wrk", "nginx", "openssl"]) {
    if (installedVersion(program, [program === "openssl" ? "version" : "-v"], /(.)/) === undefined) {
      console.error(`${program} is not installed: run scripts/peers.sh`);
      return 1;
    }
  }
  const settings = {
    seconds: positive("seconds"),
    rounds: positive("rounds"),
    connections: positive("connections"),
    pinned: !options["no-pin"] && availableParallelism() > 1,
  };
  const directory = mkdtempSync(join(tmpdir(), "tulle-bench-"));
  const abort = () => void stopAll().then(() => process.exit(130));
  process.once("SIGINT", abort).once("SIGTERM", abort);
  try {
    const { rows, skipped } = await measureAll(settings, directory);
    const report = { machine: machine(), settings, rows, skipped };
    console.log(
      options.json ? JSON.stringify(report, null, 2) : markdown(rows, skipped, settings, report.machine),
    );
    return skipped.some((each) => each.failed) ? 1 : 0;
  } finally {
    await stopAll();
    if (options.keep) console.error(`kept ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function measureAll(settings, directory) {
  const context = {
    directory,
    certificates: makeCertificates(directory),
    proxyCpu: settings.pinned ? 0 : undefined,
    loadCpu: settings.pinned ? 1 : undefined,
  };
  const origin = await startOrigin(context);
  context.originPort = origin.port;
  const skipped = [];
  const started = [];
  for (const peer of PEERS.filter(isWanted)) {
    const skip = (reason, failed) =>
      skipped.push({ scenario: peer.scenario, peer: peer.name, reason, failed });
    const { version, missing } = peer.version();
    if (missing !== undefined) {
      skip(missing, false);
      continue;
    }
    try {
      const instance = await peer.start(context);
      note(`${peer.scenario}: ${peer.name} ${version} started, warming up`);
      await wrk(instance.url, { connections: settings.connections, seconds: 2, cpu: context.loadCpu });
      started.push({ peer: { ...peer, version }, instance, runs: [] });
    } catch (error) {
      skip(error.message, true);
    }
  }
  for (let round = 1; round <= settings.rounds; round++) {
    for (const each of started) {
      if (each.failed) continue;
      try {
        each.runs.push(await measure(each.instance, settings, context));
        note(
          `round ${round}: ${each.peer.scenario}: ${each.peer.name}: ${each.runs.at(-1).cpuUsPerRequest.toFixed(1)} µs`,
        );
      } catch (error) {
        each.failed = true;
        skipped.push({
          scenario: each.peer.scenario,
          peer: each.peer.name,
          reason: error.message,
          failed: true,
        });
      }
    }
  }
  for (const { instance } of started) await instance.stop();
  await origin.handle.stop();
  return {
    rows: started.filter(({ failed }) => !failed).map(({ peer, runs }) => summarise(peer, runs)),
    skipped,
  };
}

async function measure(instance, { connections, seconds }, { loadCpu: cpu }) {
  await wrk(instance.url, { connections, seconds: 1, cpu });
  const before = usage(instance.pids);
  const load = await wrk(instance.url, { connections, seconds, cpu });
  const after = usage(instance.pids);
  const single = await wrk(instance.url, {
    connections: 1,
    seconds: Math.max(1, Math.round(seconds / 3)),
    cpu,
  });
  return {
    cpuUsPerRequest: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / load.requests,
    rssBytes: after.rssBytes,
    requestsPerSecond: load.requestsPerSecond,
    p50Us: load.p50Us,
    p99Us: load.p99Us,
    singleP50Us: single.p50Us,
  };
}

function isWanted(peer) {
  const text = `${peer.name} ${peer.scenario}`.toLowerCase();
  return options.only.length === 0 || options.only.some((part) => text.includes(part.toLowerCase()));
}

function positive(name) {
  const value = Number(options[name]);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0`);
}

function note(text) {
  console.error(`# ${text}`);
}
