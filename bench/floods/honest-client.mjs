// An honest client: a hundred requests a second over a few connections, whatever happens. node honest-client.mjs PORT SECONDS
// prints the times of its requests as JSON.
import { Agent, request } from "node:http";

const EVERY_MS = 10;
const [port, seconds] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
const times = [];
const errors = new Map();
const startMs = performance.now();
let due = startMs;
let underWay = 0;

const timer = setInterval(() => {
  const now = performance.now();
  if (now - startMs >= Number(seconds) * 1000) {
    clearInterval(timer);
    setTimeout(finish, 2000).unref();
    if (underWay === 0) finish();
    return;
  }
  // Open loop: a request that is late is sent late, and counts from when it was due.
  for (; due <= now; due += EVERY_MS) ask(due);
}, EVERY_MS / 2);

function ask(dueMs) {
  underWay++;
  const outgoing = request(
    { host: "127.0.0.1", port: Number(port), path: "/", agent, headers: { host: "origin:80" } },
    (response) => {
      if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
      response.resume();
      response.once("end", () => {
        times.push(performance.now() - dueMs);
        done();
      });
      response.once("error", (error) => fail(error.message));
    },
  );
  outgoing.once("error", (error) => {
    fail(error.message);
    done();
  });
  outgoing.end();
}

function fail(what) {
  errors.set(what, (errors.get(what) ?? 0) + 1);
}

function done() {
  underWay--;
  if (underWay === 0 && performance.now() - startMs >= Number(seconds) * 1000) finish();
}

function finish() {
  if (underWay > 0) fail(`${underWay} without an answer`);
  const sorted = times.sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity;
  const result = { requests: times.length, p50: at(0.5), p99: at(0.99), errors: Object.fromEntries(errors) };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
