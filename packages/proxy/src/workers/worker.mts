import { parentPort, workerData } from "node:worker_threads";

import type { WorkerStart } from "./contract.js";
import { runWorker } from "./run-worker.js";

if (parentPort === null) throw new Error("this module is a worker thread's");
runWorker(parentPort, workerData as WorkerStart);
