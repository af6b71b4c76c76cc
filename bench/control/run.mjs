/**
 * The control plane at scale: many services, many connected proxies. `npm run bench:control -- --help`. The proxies are
 * light ones (`fleet.mjs`), all in one process; the control plane is `tulle up` with its store on disk.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine, mebibytes, percentile } from "../harness/report.mjs";
import { usage } from "../harness/process-usage.mjs";
import { delay, start, stopAll } from "../harness/spawned.mjs";
import { deregister, register, registerAll, startTulle } from "../harness/tulle.mjs";

const FLEET = fileURLToPath(new URL("fleet.mjs", import.meta.url));
const SETTLING_MS = 5000;

const HELP = `Usage: npm run bench:control -- [options]

  --services N      services in the registry, default 1000
  --instances N     instances of each, default 10
  --proxies N       connected proxies, default 1000
  --each N          services that each proxy calls, one of which all do, default 10
  --changes N       changes of that one, default 100
  --keep            keep the directory with logs
  --json            print JSON instead of a table`;

const { values: options } = parseArgs({
  options: {
    services: { type: "string", default: "1000" },
    instances: { type: "string", default: "10" },
    proxies: { type: "string", default: "1000" },
    each: { type: "string", default: "10" },
    changes: { type: "string", default: "100" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** Control plane on CPU 0, proxies on CPU 1. */
const pinned = availableParallelism() > 1;
const controlCpu = pinned ? 0 : undefined;
const fleetCpu = pinned ? 1 : undefined;
const seconds = ({ start: from, end }) => `${((end - from) / 1000).toFixed(2)} s`;
const note = (text) => console.error(`  ${text}`);
const nameOf = (index) => `service-${index}`;

if (options.help) console.log(HELP);
else process.exitCode = await main();

async function main() {
  const scale = Object.fromEntries(
    ["services", "instances", "proxies", "each", "changes"].map((name) => [name, Number(options[name])]),
  );
  const directory = mkdtempSync(join(tmpdir(), "tulle-bench-control-"));
  process.once("SIGINT", () => void stopAll().then(() => process.exit(130)));
  try {
    const figures = await measure(scale, directory);
    if (options.json) console.log(JSON.stringify({ machine: machine(), scale, figures }, null, 2));
    else console.log(table(scale, figures));
    return 0;
  } finally {
    await stopAll();
    if (!options.keep) rmSync(directory, { recursive: true, force: true });
    else console.error(`kept ${directory}`);
  }
}

async function measure(scale, directory) {
  const names = Array.from({ length: scale.services }, (_, index) => nameOf(index));
  let control = await startControl(directory, "0", "0");
  const registering = performance.now();
  await registerAll(control.server, instancesOf(names, scale.instances));
  const registered = performance.now() - registering;
  note(`${scale.services * scale.instances} instances registered in ${(registered / 1000).toFixed(1)} s`);

  // Once more, with everything in its store.
  await control.handle.stop();
  control = await startControl(directory, control.httpPort, control.xdsPort);
  note(`started with everything in its store in ${(control.startMs / 1000).toFixed(2)} s`);
  await delay(SETTLING_MS);
  const before = usage([control.handle.pid]);

  const fleetOf = (name, first) =>
    startFleet(directory, name, {
      server: control.server,
      first,
      count: scale.proxies,
      services: names,
      servicesEach: scale.each,
    });
  const fleet = await fleetOf("fleet", 0);
  const connected = await fleet.ask("connect", { fresh: true });
  const connectedCpu = usage([control.handle.pid]).cpuSeconds - before.cpuSeconds;
  note(`${scale.proxies} proxies have everything after ${seconds(connected)}`);
  await delay(SETTLING_MS);
  const held = usage([control.handle.pid]);

  const last = [];
  const all = [];
  let bytes = 0;
  for (let change = 0; change < scale.changes; change++) {
    await fleet.ask("arm");
    const at = performance.timeOrigin + performance.now();
    await changeShared(control.server, change);
    const answer = await fleet.ask("changed");
    const latencies = answer.times.map((time) => time - at).sort((a, b) => a - b);
    last.push(latencies.at(-1));
    all.push(...latencies);
    bytes += answer.bytes;
    await delay(20);
  }
  const changesCpu = usage([control.handle.pid]).cpuSeconds - held.cpuSeconds;
  note(`${scale.changes} changes`);

  // Killed, and everybody is back at once when it is up again: with what they had, then with nothing.
  control.handle.child.kill("SIGKILL");
  await control.handle.exited;
  await fleet.ask("disconnect");
  control = await startControl(directory, control.httpPort, control.xdsPort);
  await fleet.ask("arm");
  const storm = await fleet.ask("connect", { fresh: false });
  await changeShared(control.server, scale.changes);
  const reached = await fleet.ask("changed");
  const stormMs = reached.times.at(-1) - storm.start;
  note(`reconnected and reached by a change after ${(stormMs / 1000).toFixed(2)} s`);
  await fleet.ask("disconnect");
  await delay(1000);
  const cold = await fleet.ask("connect", { fresh: true });
  note(`reconnected with nothing: ${seconds(cold)}`);

  // What is there once, whoever connects, is there now: what more proxies take is theirs.
  await delay(SETTLING_MS);
  const once = usage([control.handle.pid]);
  const others = await fleetOf("others", scale.proxies);
  await others.ask("connect", { fresh: true });
  await delay(SETTLING_MS);
  const twice = usage([control.handle.pid]);
  note(`${scale.proxies} more are connected`);

  last.sort((a, b) => a - b);
  all.sort((a, b) => a - b);
  return {
    registrationsPerSecond: Math.round((scale.services * scale.instances * 1000) / registered),
    startMs: Math.round(control.startMs),
    firstConnectMs: Math.round(connected.end - connected.start),
    firstConnectCpuSeconds: connectedCpu,
    bytesPerProxy: Math.round(connected.bytes / scale.proxies),
    resourcesPerProxy: connected.received / scale.proxies,
    rssEmptyBytes: before.rssBytes,
    rssConnectedBytes: held.rssBytes,
    rssFirstProxiesBytes: Math.round((held.rssBytes - before.rssBytes) / scale.proxies),
    rssMoreProxiesBytes: Math.round((twice.rssBytes - once.rssBytes) / scale.proxies),
    changeToLastAckMs: { p50: percentile(last, 0.5), p99: percentile(last, 0.99), max: last.at(-1) },
    changeToAckMs: { p50: percentile(all, 0.5), p99: percentile(all, 0.99) },
    cpuMsPerChange: (changesCpu * 1000) / scale.changes,
    bytesPerChangeAndProxy: Math.round(bytes / scale.changes / scale.proxies),
    stormMs: Math.round(stormMs),
    coldStormMs: Math.round(cold.end - cold.start),
  };
}

async function startControl(directory, httpPort, xdsPort) {
  const from = performance.now();
  const ports = ["--http-port", httpPort, "--xds-port", xdsPort, "--dns-port", "0"];
  const args = ["up", "--data-dir", join(directory, "data"), ...ports];
  // The ready file of the one before is no sign of this one.
  const name = `${Date.now()}-up`;
  const { handle, ready } = await startTulle({ directory, name, args, cpu: controlCpu, timeoutMs: 60_000 });
  const { http, xds } = ready.addresses;
  return {
    handle,
    server: `http://${http}`,
    httpPort: http.split(":").at(-1),
    xdsPort: xds.split(":").at(-1),
    startMs: performance.now() - from,
  };
}

async function startFleet(directory, name, config) {
  const stateDirectory = join(directory, name);
  mkdirSync(stateDirectory, { mode: 0o700 });
  const log = join(directory, `${name}.log`);
  const args = ["--no-warnings", FLEET, JSON.stringify({ ...config, stateDirectory })];
  const handle = start(process.execPath, args, { cpu: fleetCpu, log, stdio: ["pipe", "pipe", "pipe"] });
  const lines = createInterface({ input: handle.child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the proxies ended; see ${log}`);
    return JSON.parse(value);
  };
  await read();
  return {
    ask: (command, more = {}) => {
      handle.child.stdin.write(`${JSON.stringify({ command, ...more })}\n`);
      return read();
    },
  };
}

/** So many of each service, none of which is there. */
function instancesOf(names, count) {
  return names.flatMap((name, service) =>
    Array.from({ length: count }, (_, instance) => ({
      name,
      address: `10.${service >> 8}.${service & 255}.${instance + 1}`,
      port: 8080,
    })),
  );
}

/** An instance more of the service that everybody calls, and less again. */
function changeShared(server, change) {
  const instance = { name: nameOf(0), address: "10.255.255.1", port: 8080 };
  return change % 2 === 0 ? register(server, instance) : deregister(server, instance);
}

function table(scale, f) {
  const ms = (value) => `${value.toFixed(0)} ms`;
  const kibibytes = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  const rows = [
    ["registrations a second", f.registrationsPerSecond.toLocaleString("en")],
    ["start with everything in its store", ms(f.startMs)],
    [
      `${scale.proxies} proxies connect and get everything`,
      `${ms(f.firstConnectMs)}, ${f.firstConnectCpuSeconds.toFixed(2)} CPU-s`,
    ],
    [
      "bytes for a proxy",
      `${(f.bytesPerProxy / 1024).toFixed(1)} KiB in ${f.resourcesPerProxy.toFixed(0)} resources`,
    ],
    ["RSS without proxies, with them", `${mebibytes(f.rssEmptyBytes)}, ${mebibytes(f.rssConnectedBytes)}`],
    [
      `RSS for each of the first ${scale.proxies} proxies, with what is made once; of as many more`,
      `${kibibytes(f.rssFirstProxiesBytes)}; ${kibibytes(f.rssMoreProxiesBytes)}`,
    ],
    [
      "change → last ACK, p50 / p99 / max",
      `${ms(f.changeToLastAckMs.p50)} / ${ms(f.changeToLastAckMs.p99)} / ${ms(f.changeToLastAckMs.max)}`,
    ],
    ["change → ACK, of all proxies, p50 / p99", `${ms(f.changeToAckMs.p50)} / ${ms(f.changeToAckMs.p99)}`],
    ["a change: CPU, bytes for a proxy", `${f.cpuMsPerChange.toFixed(0)} ms, ${f.bytesPerChangeAndProxy}`],
    ["all reconnect after kill -9 and get a change", ms(f.stormMs)],
    ["all reconnect with nothing and get everything", ms(f.coldStormMs)],
  ];
  const title = `**${scale.services.toLocaleString("en")} services × ${scale.instances} instances, ${scale.proxies.toLocaleString("en")} proxies that call ${scale.each} each**`;
  const placing = pinned ? "; control plane on CPU 0, proxies on CPU 1" : "";
  return [
    title,
    "",
    "| | |",
    "| --- | --- |",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    "",
    machineLine(machine(), { pinned: false }).replace("; not pinned", placing),
  ].join("\n");
}
