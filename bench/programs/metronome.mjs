// A worker thread that says "now" at each time of a schedule: finer than timers, whose unit is the millisecond, and
// without spinning on the CPU that the origin needs too.
import { parentPort, workerData } from "node:worker_threads";

const { schedule, originMs } = workerData;
const cell = new Int32Array(new SharedArrayBuffer(4));

for (let i = 0; i < schedule.length; i++) {
  const now = performance.timeOrigin + performance.now() - originMs;
  const wait = schedule[i] - now;
  if (wait > 0) Atomics.wait(cell, 0, 0, wait);
  parentPort.postMessage(i);
}
