// Sends POSTs with a body over HTTP/1.1 at a steady rate with jitter, whatever has been answered by then, and prints the
// latency of each in microseconds as JSON, in order of size. A latency counts from when the request was due, not from when
// it could be sent: a stall shows in every request that was due meanwhile (no coordinated omission).
import { connect } from "node:net";
import { Worker } from "node:worker_threads";

const { port, path, bodyBytes, perSecond, seconds, warmUpSeconds, connections } = JSON.parse(process.argv[2]);
const GIVE_UP_MS = 10_000;
const HEAD_END = Buffer.from("\r\n\r\n");

const request = Buffer.concat([
  Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bodyBytes}\r\n\r\n`,
  ),
  Buffer.alloc(bodyBytes, "x"),
]);

const latencies = [];
const idle = [];
/** Due times of requests that no connection is free for. */
const waiting = [];
let answered = 0;
let onAllAnswered = () => undefined;
const allAnswered = new Promise((resolve) => (onAllAnswered = resolve));

/** One keep-alive connection; one request at a time. */
class Connection {
  #socket;
  #due = -1;
  #head = Buffer.alloc(0);
  #rest = -1;

  constructor(onReady) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true }, onReady);
    this.#socket.on("data", (chunk) => this.#onData(chunk));
    this.#socket.on("error", (error) => fail(error.message));
    this.#socket.on("close", () => fail("a connection was closed"));
  }

  send(due) {
    this.#due = due;
    this.#head = Buffer.alloc(0);
    this.#rest = -1;
    this.#socket.write(request);
  }

  #onData(chunk) {
    let body = chunk.length;
    if (this.#rest < 0) {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return;
      const head = this.#head.toString("latin1", 0, end);
      if (!head.startsWith("HTTP/1.1 200")) fail(`answered: ${head.slice(0, 200)}`);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (length === undefined) fail(`no Content-Length: ${head}`);
      this.#rest = Number(length);
      body = this.#head.length - end - 4;
    }
    this.#rest -= body;
    if (this.#rest > 0) return;
    if (this.#due >= warmUpSeconds * 1000) latencies.push(Math.round((elapsedMs() - this.#due) * 1000));
    const next = waiting.shift();
    if (next === undefined) idle.push(this);
    else this.send(next);
    if (++answered === schedule.length) onAllAnswered();
  }
}

function fail(text) {
  if (finished) return;
  console.error(text);
  process.exit(1);
}

/** When each request is due, milliseconds: evenly, and then anywhere in its interval. */
const interval = 1000 / perSecond;
const schedule = Float64Array.from(
  { length: Math.round(perSecond * (warmUpSeconds + seconds)) },
  (_, i) => (i + Math.random()) * interval,
);

let finished = false;
await Promise.all(
  Array.from(
    { length: connections },
    () =>
      new Promise((resolve) => {
        const made = new Connection(() => {
          idle.push(made);
          resolve();
        });
      }),
  ),
);

const originMs = performance.timeOrigin + performance.now() + 50;
const elapsedMs = () => performance.timeOrigin + performance.now() - originMs;
const metronome = new Worker(new URL("metronome.mjs", import.meta.url), {
  workerData: { schedule, originMs },
});
metronome.on("message", (i) => {
  const connection = idle.shift();
  if (connection === undefined) waiting.push(schedule[i]);
  else connection.send(schedule[i]);
});
await new Promise((resolve) => metronome.on("exit", resolve));
setTimeout(() => fail(`requests had no answer after ${GIVE_UP_MS} ms`), GIVE_UP_MS).unref();
await allAnswered;
finished = true;
process.stdout.write(JSON.stringify(latencies.sort((a, b) => a - b)), () => process.exit(0));
