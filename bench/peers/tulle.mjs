import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, freePort, listening, start } from "../harness/spawned.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMMAND = join(ROOT, "packages/cli/bin/tulle.mjs");

/**
 * Tulle as users run it: `tulle up` and one or two `tulle sidecar`, by the built command. The control plane runs on
 * the CPU of the load and is not counted: once configuration is delivered no request passes it. Access logs are off
 * as they are for the peers; metrics, request ids, traces and client-certificate headers are on and cannot be turned
 * off.
 */
function version() {
  if (!existsSync(join(ROOT, "packages/cli/dist/main.js"))) return { missing: "not built (npm run build)" };
  return { version: JSON.parse(readFileSync(join(ROOT, "packages/cli/package.json"), "utf8")).version };
}

/** Starts `tulle ARGS --ready-file`, and resolves with its handle and what it wrote there. */
async function tulle(context, name, args, cpu) {
  const readyFile = join(context.directory, `tulle-${name}.ready`);
  const log = join(context.directory, `tulle-${name}.log`);
  const handle = start(process.execPath, [COMMAND, ...args, "--ready-file", readyFile], { cpu, log });
  const state = { ended: "" };
  void handle.exited.then((how) => {
    state.ended = how;
  });
  const deadline = Date.now() + 30_000;
  while (!existsSync(readyFile)) {
    if (state.ended !== "") throw new Error(`tulle ${args[0]} ended (${state.ended}): ${lastLine(log)}`);
    if (Date.now() > deadline) throw new Error(`tulle ${args[0]} was not ready after 30 s: ${lastLine(log)}`);
    await delay(50);
  }
  return { handle, ready: JSON.parse(readFileSync(readyFile, "utf8")) };
}

async function controlPlane(context, name) {
  const ports = ["--http-port", "0", "--dns-port", "0", "--xds-port", "0"];
  const { handle, ready } = await tulle(
    context,
    `${name}-up`,
    ["up", "--in-memory", ...ports],
    context.loadCpu,
  );
  return { handle, server: `http://${ready.addresses.http}` };
}

/** A sidecar on free ports, with its state in the run's directory. */
function sidecar(context, name, server, args) {
  const stateDirectory = join(context.directory, `tulle-${name}`);
  mkdirSync(stateDirectory, { mode: 0o700 });
  const kinds = ["outbound", "inbound", "admin", "metrics", "readiness"];
  const ports = kinds.flatMap((kind) => [`--${kind}-port`, "0"]);
  const common = ["--server", server, "--state-dir", stateDirectory, "--access-log", "off", ...ports];
  return tulle(context, name, ["sidecar", ...common, ...args], context.proxyCpu);
}

/** The service `origin:80` is the origin, called through a client's sidecar on a port of its own. */
async function startClient(context, name, server) {
  const localPort = await freePort();
  const args = ["--service", "load", "--upstream", `origin:80=${localPort}`];
  const { handle } = await sidecar(context, `${name}-load`, server, args);
  await listening(localPort, handle);
  const url = `http://127.0.0.1:${localPort}/`;
  await answers(url);
  return { handle, url };
}

/** Registration, its health check and the push to the caller are over when a request succeeds. */
async function answers(url) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const problem = await fetch(url).then(
      async (response) => (response.ok ? "" : `${response.status} ${await response.text()}`),
      (error) => error.message,
    );
    if (problem === "") return;
    if (Date.now() > deadline)
      throw new Error(`tulle does not answer with the origin's body: ${problem.trim()}`);
    await delay(100);
  }
}

async function registerOrigin(server, port) {
  const response = await fetch(`${server}/v1/agent/service/register`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      Name: "origin",
      Address: "127.0.0.1",
      Port: port,
      Meta: { "tulle-protocol": "http", "tulle-service-port": "80" },
    }),
  });
  if (!response.ok)
    throw new Error(`the origin could not be registered: ${response.status} ${await response.text()}`);
}

/** A pair that fell back to plain text would look fast: the far sidecar itself must have counted mutual TLS. */
async function assertMutualTls({ host, port }) {
  const metrics = await fetch(`http://${host}:${port}/stats/prometheus`).then((response) => response.text());
  if (!/^istio_requests_total\{[^}]*connection_security_policy="mutual_tls"/m.test(metrics)) {
    throw new Error("the far sidecar counted no request over mutual TLS");
  }
}

function lastLine(log) {
  return existsSync(log) ? (readFileSync(log, "utf8").trim().split("\n").at(-1) ?? "") : "";
}

function instance(url, proxies, others) {
  return {
    url,
    pids: proxies.map((handle) => handle.pid),
    stop: async () => {
      for (const handle of [...proxies, ...others]) await handle.stop();
    },
  };
}

export const tulleOneHop = {
  name: "tulle",
  scenario: "one hop, HTTP/1.1",
  version,
  start: async (context) => {
    const control = await controlPlane(context, "hop");
    await registerOrigin(control.server, context.originPort);
    const client = await startClient(context, "hop", control.server);
    return instance(client.url, [client.handle], [control.handle]);
  },
};

export const tullePair = {
  name: "tulle",
  scenario: "sidecar pair, mutual TLS 1.3",
  version,
  start: async (context) => {
    const control = await controlPlane(context, "pair");
    const origin = ["--service", "origin", "--port", String(context.originPort), "--service-port", "80"];
    const far = await sidecar(context, "pair-origin", control.server, origin);
    const client = await startClient(context, "pair", control.server);
    await assertMutualTls(far.ready.addresses.metrics);
    return instance(client.url, [client.handle, far.handle], [control.handle]);
  },
};
