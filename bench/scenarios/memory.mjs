import { request } from "node:http";
import { startProgram } from "../harness/node-program.mjs";
import { join } from "node:path";
import { usage } from "../harness/process-usage.mjs";
import { mebibytes } from "../harness/report.mjs";
import { delay } from "../harness/spawned.mjs";
import { haproxyHop, haproxyServices } from "../peers/haproxy.mjs";
import { nginxHop, ORIGIN_ADDRESSES } from "../peers/nginx.mjs";
import { tulleHop, tulleServices } from "../peers/tulle.mjs";

const CONNECTIONS = 10_000;
const CALLED = 10;
const MANY = 1000;
const SETTLING_MS = 5000;

const rss = ({ pids }) => usage(pids).rssBytes;

/** After a while without work, in which garbage goes. */
async function settled(instance) {
  await delay(SETTLING_MS);
  return rss(instance);
}

/** RSS with no connection, and with `CONNECTIONS` that have had one request each. */
async function measureConnections(context, peer, app) {
  const instance = await peer.start(context, app);
  const idleBytes = await settled(instance);
  const { handle } = await startProgram(
    "idle-connections",
    { port: instance.port, count: CONNECTIONS, atOnce: 64 },
    { cpu: context.loadCpu, log: join(context.directory, "idle-connections.log") },
  );
  const heldBytes = await settled(instance);
  if (handle.child.exitCode !== null) throw new Error(`connections were not held; see ${handle.log}`);
  handle.child.stdin.end();
  await handle.exited;
  await instance.stop();
  return { idleBytes, heldBytes };
}

/** `count` services of ten endpoints each; the first `CALLED` are the origin. */
function servicesOf(count, originPort) {
  return Array.from({ length: count }, (_, i) => ({
    name: `service-${i}`,
    endpoints: ORIGIN_ADDRESSES.map((address, j) =>
      i < CALLED ? { address, port: originPort } : { address: `127.1.${i >> 8}.${i & 255}`, port: 8000 + j },
    ),
  }));
}

/** RSS in a mesh of `count` services while `CALLED` of them are called. */
async function measureServices(context, peer, app, count) {
  const services = servicesOf(count, app.port);
  const instance = await peer.start(context, services);
  for (let round = 0; round < 20; round++) {
    for (const { name } of services.slice(0, CALLED)) await answers(instance.port, name);
  }
  const bytes = await settled(instance);
  await instance.stop();
  return bytes;
}

async function answers(port, service) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const problem = await get(port, service);
    if (problem === "") return;
    if (Date.now() > deadline) throw new Error(`${service} does not answer: ${problem}`);
    await delay(50);
  }
}

function get(port, service) {
  return new Promise((resolve) => {
    request({ port, host: "127.0.0.1", headers: { host: `${service}:80` } }, (response) => {
      response.on("error", (error) => resolve(error.message));
      response.on("end", () => resolve(response.statusCode === 200 ? "" : `status ${response.statusCode}`));
      response.resume();
    })
      .on("error", (error) => resolve(error.message))
      .end();
  });
}

export const memory = {
  name: "memory",
  needs: [],
  byDefault: false,
  run: async (context) => {
    const app = await context.origin();
    const rows = [];
    const skipped = [];
    for (const { hop, many } of [
      { hop: nginxHop },
      { hop: haproxyHop, many: haproxyServices },
      { hop: tulleHop, many: tulleServices },
    ]) {
      const { version, missing } = hop.version();
      if (missing !== undefined) {
        skipped.push({ peer: hop.name, reason: missing, failed: false });
        continue;
      }
      try {
        const row = { peer: { name: hop.name, version }, ...(await measureConnections(context, hop, app)) };
        context.note(`${hop.name}: connections`);
        if (many !== undefined) {
          row.fewBytes = await measureServices(context, many, app, CALLED);
          row.manyBytes = await measureServices(context, many, app, MANY);
          context.note(`${hop.name}: services`);
        }
        rows.push(row);
      } catch (error) {
        skipped.push({ peer: hop.name, reason: error.message, failed: true });
      }
    }
    const optional = (name) => (row) => (row[name] === undefined ? "–" : mebibytes(row[name]));
    return {
      title: "Memory (RSS) of one proxy",
      columns: [
        { title: "idle", cell: ({ idleBytes }) => mebibytes(idleBytes) },
        {
          title: `${CONNECTIONS.toLocaleString("en")} idle connections`,
          cell: ({ idleBytes, heldBytes }) =>
            `${mebibytes(heldBytes)} (${((heldBytes - idleBytes) / 1024 / CONNECTIONS).toFixed(1)} KiB each)`,
        },
        { title: `${CALLED} services × 10 endpoints`, cell: optional("fewBytes") },
        {
          title: `${MANY.toLocaleString("en")} services × 10, ${CALLED} called`,
          cell: optional("manyBytes"),
        },
      ],
      rows,
      notes: [
        "nginx and HAProxy have their services in a file; Tulle's are registered at its control plane, which is not counted.",
      ],
      skipped,
    };
  },
};
