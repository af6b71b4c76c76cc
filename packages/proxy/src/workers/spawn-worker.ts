import { Worker } from "node:worker_threads";

import type { FromWorker, SpawnWorker } from "./contract.js";

/** Starts a worker as a thread of this process. */
export const spawnWorker: SpawnWorker = (start) => {
  // Beside this module, in the build as in the bundle.
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), {
    workerData: start,
    name: `tulle-worker-${start.index}`,
  });
  let failure: Error | undefined;
  worker.on("error", (error: Error) => {
    failure = error;
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (take) => worker.on("message", (message: FromWorker) => take(message)),
    onEnd: (ended) =>
      worker.once("exit", (code) =>
        ended(failure ?? (code === 0 ? undefined : new Error(`exit code ${code}`))),
      ),
    terminate: () => void worker.terminate(),
  };
};
