// Listens and never takes a connection; with its queue full, the kernel answers no further attempt to connect.
import { connect } from "node:net";
import { Worker } from "node:worker_threads";

const port = Number(process.argv[2]);
// The thread that listens is asleep from then on.
const worker = new Worker(
  `const { parentPort, workerData } = require("node:worker_threads");
   require("node:net").createServer().listen({ port: workerData, host: "127.0.0.1", backlog: 1 }, () => {
     parentPort.postMessage("listening");
     setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 10);
   });`,
  { eval: true, workerData: port },
);
worker.once("message", () => {
  setTimeout(() => {
    for (let i = 0; i < 8; i++) connect(port, "127.0.0.1").on("error", () => undefined);
    setTimeout(() => process.stdout.write("ready\n"), 100);
  }, 50);
});
