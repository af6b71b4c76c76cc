/**
 * Proxies side by side, in one run on one machine: `npm run bench -- --help`. See README.md for what is and is not
 * compared.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeCertificates } from "./harness/certificates.mjs";
import { startProgram } from "./harness/node-program.mjs";
import { isInstalled } from "./harness/program.mjs";
import { machine, machineLine, markdown } from "./harness/report.mjs";
import { stopAll } from "./harness/spawned.mjs";
import { startGrpcOrigin } from "./peers/nghttpd.mjs";
import { startOrigin } from "./peers/nginx.mjs";
import { bulk } from "./scenarios/bulk.mjs";
import { grpc } from "./scenarios/grpc.mjs";
import { handshakes } from "./scenarios/handshakes.mjs";
import { authorization, oneHop, pair, rules } from "./scenarios/http1.mjs";
import { latency } from "./scenarios/latency.mjs";
import { memory } from "./scenarios/memory.mjs";

const SCENARIOS = [oneHop, pair, grpc, latency, bulk, memory, handshakes, rules, authorization];
const names = (wanted) => SCENARIOS.filter(wanted).map(({ name }) => name);

const HELP = `Usage: npm run bench -- [options]

  --only NAMES         scenarios, by comma: ${names(() => true).join(", ")}
                       default: ${names(({ byDefault }) => byDefault).join(", ")}
  --all                all of them
  --seconds N          length of a measured run, default 5
  --rounds N           rounds over all peers, default 3
  --connections N      connections of the closed loop over HTTP/1.1, default 64
  --no-pin             do not pin processes to CPUs
  --keep               keep the directory with configurations and logs
  --json               print JSON instead of tables

Needs nginx (which is also the origin), openssl, wrk, and for some scenarios h2load, nghttpd and curl; peers that are
missing are skipped. scripts/peers.sh installs all.`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    all: { type: "boolean", default: false },
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
  const scenarios = chosen();
  const missing = ["nginx", "openssl", ...scenarios.flatMap(({ needs }) => needs)].filter(
    (program) => !isInstalled(program),
  );
  if (missing.length > 0) {
    console.error(`not installed: ${missing.join(", ")}; run scripts/peers.sh`);
    return 1;
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
    const context = contextOf(directory, settings);
    const results = [];
    for (const scenario of scenarios) {
      context.note(`scenario ${scenario.name}`);
      const result = await scenario.run(context, settings);
      results.push({ name: scenario.name, ...result });
      if (!options.json) console.log(`${markdown(result)}\n`);
    }
    if (options.json) console.log(JSON.stringify({ machine: machine(), settings, results }, null, 2));
    else console.log(machineLine(machine(), settings));
    return results.some(({ skipped }) => skipped.some(({ failed }) => failed)) ? 1 : 0;
  } finally {
    await stopAll();
    if (options.keep) console.error(`kept ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

/** What scenarios share. Origins and certificates are made when they are first asked for. */
function contextOf(directory, { pinned }) {
  const context = {
    directory,
    proxyCpu: pinned ? 0 : undefined,
    loadCpu: pinned ? 1 : undefined,
    note: (text) => console.error(`# ${text}`),
    certificates: once(() => makeCertificates(directory)),
    /** What a client shows to the far side of a pair, and believes. */
    clientIdentity: () => {
      const { authority, client, serverName } = context.certificates();
      const read = (path) => readFileSync(path, "utf8");
      return {
        cert: read(client.certificate),
        key: read(client.key),
        ca: read(authority),
        servername: serverName,
      };
    },
    origin: once(() => startOrigin(context)),
    grpcOrigin: once(() => startGrpcOrigin(context)),
    bulkOrigin: once(async () => {
      const place = { cpu: context.loadCpu, log: join(directory, "bulk-origin.log") };
      const { ready } = await startProgram("bulk-origin", {}, place);
      return { port: ready.port, protocol: "http1" };
    }),
  };
  return context;
}

function once(make) {
  let made;
  return () => (made ??= make());
}

function chosen() {
  if (options.all) return SCENARIOS;
  const wanted = options.only.flatMap((text) => text.split(","));
  if (wanted.length === 0) return SCENARIOS.filter(({ byDefault }) => byDefault);
  return wanted.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined)
      throw new Error(`no scenario ${name}; there are ${names(() => true).join(", ")}`);
    return found;
  });
}

function positive(name) {
  const value = Number(options[name]);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0`);
}
