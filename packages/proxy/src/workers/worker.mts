import { setFlagsFromString } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";

import type { WorkerStart } from "./contract.js";

if (parentPort === null) throw new Error("this module is a worker thread's");
// What starting up takes must not grow the young generation: an idle worker would keep 12 MB for nothing. Lifted once the
// listeners are open. What the main thread has said of it has no effect on threads that begin later (measured).
setFlagsFromString("--semi-space-growth-factor=1");
const { runWorker } = await import("./run-worker.js");
runWorker(parentPort, workerData as WorkerStart, () => setFlagsFromString("--semi-space-growth-factor=2"));
