// One attack, in a process of its own: node attacker.mjs NAME PORT SECONDS. Prints what became of its connections as JSON.
import { connect } from "node:net";

import { HTTP1_ATTACKS, HTTP2_ATTACKS } from "./attacks.mjs";

const [name, port, seconds] = process.argv.slice(2);
const attack = { ...HTTP2_ATTACKS, ...HTTP1_ATTACKS }[name];
const { start, more, everyMs, deaf = false, churn = false, connections = 4 } = attack;
/** Connections that are opened at once, so that listening queues do not overflow. */
const STEP = 100;

const endMs = Date.now() + Number(seconds) * 1000;
const lived = [];
let opened = 0;
let sentBytes = 0;
const sockets = new Set();

for (let i = 0; i < connections; i++) setTimeout(open, Math.floor(i / STEP) * 20);
setTimeout(
  () => {
    const sorted = lived.sort((a, b) => a - b);
    const middle = sorted[Math.floor(sorted.length / 2)];
    const cpu = process.cpuUsage();
    const result = {
      opened,
      closed: lived.length,
      closedAfterMs: middle === undefined ? undefined : Math.round(middle),
      sentBytes,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  },
  Number(seconds) * 1000,
);

function open() {
  if (Date.now() >= endMs) return;
  const startedMs = performance.now();
  const socket = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
  sockets.add(socket);
  let i = 0;
  let timer;
  const write = (bytes) => {
    sentBytes += bytes.length;
    return socket.write(bytes, "latin1");
  };
  const pump = () => {
    // A flood, but one that notices when its connection ends.
    for (let writes = 0; writes < 32 && !socket.destroyed; writes++) {
      if (!write(more(i++))) {
        socket.once("drain", () => setImmediate(pump));
        return;
      }
    }
    if (!socket.destroyed) setImmediate(pump);
  };
  socket.once("connect", () => {
    opened++;
    if (start !== undefined) write(start);
    if (more === undefined) return;
    if (everyMs === undefined) pump();
    else timer = setInterval(() => write(more(i++)), everyMs);
  });
  // A deaf one takes nothing, so that what it causes piles up at the proxy.
  if (deaf) socket.pause();
  else socket.resume();
  socket.on("error", () => {});
  socket.once("close", () => {
    clearInterval(timer);
    sockets.delete(socket);
    if (Date.now() < endMs) {
      lived.push(performance.now() - startedMs);
      if (churn) open();
      else setTimeout(open, 10);
    }
  });
}
