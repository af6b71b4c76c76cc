import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, freePort, listening, start } from "../harness/spawned.mjs";
import { COMMAND, lastLine, register, registerAll, startTulle } from "../harness/tulle.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CALLEE = "origin.default.svc.cluster.local";

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

let started = 0;

/** One of Tulle's commands, with its files in the run's directory. */
const tulle = ({ directory }, name, args, cpu) => startTulle({ directory, name, args, cpu });

async function controlPlane(context) {
  const ports = ["--http-port", "0", "--dns-port", "0", "--xds-port", "0"];
  const args = ["up", "--in-memory", ...ports];
  const { handle, ready } = await tulle(context, `${++started}-up`, args, context.loadCpu);
  return { handle, server: `http://${ready.addresses.http}` };
}

/** A sidecar on free ports, with its state in the run's directory. */
async function sidecar(context, server, args) {
  const name = `${++started}-sidecar`;
  const stateDirectory = join(context.directory, `tulle-${name}`);
  mkdirSync(stateDirectory, { mode: 0o700 });
  const kinds = ["outbound", "inbound", "admin", "metrics", "readiness"];
  const ports = kinds.flatMap((kind) => [`--${kind}-port`, "0"]);
  const common = ["--server", server, "--state-dir", stateDirectory, "--access-log", "off", ...ports];
  const running = await tulle(
    context,
    name,
    ["sidecar", ...common, ...(context.sidecarArgs ?? []), ...args],
    context.proxyCpu,
  );
  return { ...running, stateDirectory };
}

/** The service `origin:80` is the application, called through a client's sidecar on a port of its own. */
async function startClient(context, server, app) {
  const port = await freePort();
  const args = ["--service", "load", "--upstream", `origin:80=${port}`];
  const running = await sidecar(context, server, args);
  await listening(port, running.handle);
  await answers(() => (app.protocol === "h2c" ? tryHttp2(port) : tryHttp1(`http://127.0.0.1:${port}/`)));
  return { ...running, port };
}

/** Registration, its health check and the push to the caller are over when a request succeeds. */
async function answers(attempt) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const problem = await attempt();
    if (problem === "") return;
    if (Date.now() > deadline) throw new Error(`tulle does not answer as the origin: ${problem.trim()}`);
    await delay(100);
  }
}

/** "" when a request succeeds, or what is wrong. */
function tryHttp1(url) {
  return fetch(url).then(
    async (response) => (response.ok ? (await response.arrayBuffer(), "") : `${response.status}`),
    (error) => error.message,
  );
}

function tryHttp2(port) {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", (error) => resolve(error.message));
    const stream = session.request({ ":path": "/message.grpc" });
    stream.on("error", (error) => resolve(error.message));
    stream.on("response", (headers) => resolve(headers[":status"] === 200 ? "" : `${headers[":status"]}`));
    stream.on("close", () => session.close());
    stream.resume();
  });
}

/** Applies YAML as a user does, before anything runs. */
async function apply(context, server, yaml) {
  const name = `${++started}-apply`;
  const file = join(context.directory, `tulle-${name}.yaml`);
  writeFileSync(file, yaml);
  const log = join(context.directory, `tulle-${name}.log`);
  const { exited } = start(process.execPath, [COMMAND, "apply", "--server", server, "-f", file], { log });
  const how = await exited;
  if (how !== "exit code 0") throw new Error(`tulle apply: ${how}: ${lastLine(log)}`);
}

const metricsOf = ({ host, port }) =>
  fetch(`http://${host}:${port}/stats/prometheus`).then((response) => response.text());

/** A pair that fell back to plain text would look fast: the far sidecar itself must have counted mutual TLS. */
async function assertMutualTls(address) {
  if (!/^istio_requests_total\{[^}]*connection_security_policy="mutual_tls"/m.test(await metricsOf(address)))
    throw new Error("the far sidecar counted no request over mutual TLS");
}

/** Requests that the near sidecar sent to the other, and connections that it made for them, since its start. */
async function upstreamUse(address) {
  const text = await metricsOf(address);
  const sum = (name) =>
    text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) && line.includes(CALLEE))
      .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
  return {
    requests: sum("envoy_cluster_upstream_rq_total"),
    connections: sum("envoy_cluster_upstream_cx_total"),
  };
}

const stopping = (handles) => async () => {
  for (const handle of handles) await handle.stop();
};

export const tulleHop = {
  name: "tulle",
  version,
  start: async (context, app) => {
    const control = await controlPlane(context);
    await register(control.server, { name: "origin", address: "127.0.0.1", port: app.port });
    const { handle, port } = await startClient(context, control.server, app);
    return { port, pids: [handle.pid], stop: stopping([handle, control.handle]) };
  },
};

export const tullePair = {
  name: "tulle",
  version,
  start: async (context, app) => {
    const control = await controlPlane(context);
    if (app.configuration !== undefined) await apply(context, control.server, app.configuration);
    const protocol = ["--protocol", app.protocol === "h2c" ? "grpc" : "http"];
    const origin = ["--service", "origin", "--port", String(app.port), "--service-port", "80", ...protocol];
    const far = await sidecar(context, control.server, origin);
    const near = await startClient(context, control.server, app);
    await assertMutualTls(far.ready.addresses.metrics);
    const identity = JSON.parse(readFileSync(join(near.stateDirectory, "identity.json"), "utf8"));
    return {
      port: near.port,
      pids: [near.handle.pid, far.handle.pid],
      far: {
        port: far.ready.addresses.inbound.port,
        pids: [far.handle.pid],
        identity: {
          cert: identity.certificateChainPem,
          key: identity.privateKeyPem,
          ca: identity.trustBundlePem,
          servername: `outbound_.80_._.${CALLEE}`,
        },
      },
      upstreamUse: () => upstreamUse(near.ready.addresses.metrics),
      stop: stopping([near.handle, far.handle, control.handle]),
    };
  },
};

/** The pair, with a VirtualService of so many rules for the service; the one that takes the load's requests is the last. */
export const tullePairWithRules = (count) => ({
  ...tullePair,
  name: `tulle, ${count.toLocaleString("en")} rules`,
  start: (context, app) => tullePair.start(context, { ...app, configuration: virtualService(count) }),
});

/** Of ten rules, six are for one path, three for paths that begin so and one for a header. */
function virtualService(count) {
  const matchOf = (index) => {
    if (index % 10 < 6) return `{uri: {exact: /api/v1/resource-${index}}}`;
    if (index % 10 < 9) return `{uri: {prefix: /files/${index}/}}`;
    return `{uri: {prefix: /admin/${index}}, headers: {x-tenant: {exact: tenant-${index}}}}`;
  };
  const rules = Array.from(
    { length: count - 1 },
    (_, index) => `  - match: [${matchOf(index)}]\n    route: [{destination: {host: origin}}]\n`,
  );
  const head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: origin}\n";
  return `${head}spec:\n  hosts: [origin]\n  http:\n${rules.join("")}  - route: [{destination: {host: origin}}]\n`;
}

/** The pair, with so many rules of authorization for the service, of which the last one allows the load's requests. */
export const tullePairWithPolicies = (count) => ({
  ...tullePair,
  name: `tulle, ${count.toLocaleString("en")} authorization rules`,
  start: (context, app) => tullePair.start(context, { ...app, configuration: policies(count) }),
});

/** A third of them denies. Of ten rules, five are for one path, three for paths that begin so, one for a header and one for somebody. */
function policies(count) {
  const ruleOf = (index) => {
    if (index % 10 < 5)
      return `{to: [{operation: {methods: [GET, POST], paths: [/api/v1/resource-${index}]}}]}`;
    if (index % 10 < 8) return `{to: [{operation: {paths: ["/files/${index}/*"]}}]}`;
    if (index % 10 < 9) return `{when: [{key: "request.headers[x-tenant]", values: [tenant-${index}]}]}`;
    return `{from: [{source: {principals: [cluster.local/ns/other/sa/account-${index}]}}]}`;
  };
  const policy = (name, action, from, to, more = "") => {
    const rules = Array.from({ length: to - from }, (_, index) => `  - ${ruleOf(from + index)}\n`);
    const head = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}}\n`;
    return `${head}spec:\n  action: ${action}\n  rules:\n${rules.join("")}${more}`;
  };
  const denied = Math.floor(count / 3);
  const last = '  - {from: [{source: {principals: ["*"]}}], to: [{operation: {methods: [GET]}}]}\n';
  return `${policy("deny", "DENY", 0, denied)}---\n${policy("allow", "ALLOW", denied, count - 1, last)}`;
}

/** A sidecar in a mesh of many services, which calls each by its Host header on one port. */
export const tulleServices = {
  name: "tulle",
  version,
  start: async (context, services) => {
    const control = await controlPlane(context);
    const all = services.flatMap(({ name, endpoints }) =>
      endpoints.map((endpoint) => ({ name, ...endpoint })),
    );
    await registerAll(control.server, all);
    const { handle, ready } = await sidecar(context, control.server, ["--service", "load"]);
    const { port } = ready.addresses.outbound;
    return { port, pids: [handle.pid], stop: stopping([handle, control.handle]) };
  },
};
