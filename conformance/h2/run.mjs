#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { CONNECTION } from "./connection-cases.mjs";
import { Connection } from "./connection.mjs";
import { FRAMES } from "./frame-cases.mjs";
import { GENERIC } from "./generic-cases.mjs";
import { MESSAGES } from "./message-cases.mjs";

/**
 * The 147 strict cases of HTTP/2 conformance for servers, numbered as h2spec numbers them, against any server:
 *
 *   node conformance/h2/run.mjs --port 8080 [--host 127.0.0.1] [--authority reviews:9080] [--only http2/6.9]
 *   node conformance/h2/run.mjs --port 15006 --tls --cert chain.pem --key key.pem --servername NAME
 *
 * `--gap-ms 5` lets so much time pass between frames, so that a server has answered one before the next comes.
 *
 * Prints a line a case, and exits with 1 when one fails. Stricter than h2spec where a connection is to end: GOAWAY must
 * name the right error, closing alone is not enough.
 */
const CASES = [...GENERIC, ...CONNECTION, ...FRAMES, ...MESSAGES];

const { values } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string" },
    authority: { type: "string" },
    "timeout-ms": { type: "string", default: "2000" },
    "gap-ms": { type: "string", default: "0" },
    only: { type: "string", default: "" },
    tls: { type: "boolean", default: false },
    cert: { type: "string" },
    key: { type: "string" },
    servername: { type: "string" },
    "failures-only": { type: "boolean", default: false },
  },
});
const port = Number(values.port);
if (!Number.isInteger(port)) {
  process.stderr.write("usage: node conformance/h2/run.mjs --port PORT [--tls --cert FILE --key FILE]\n");
  process.exit(2);
}
const pem = (file) => (file === undefined ? undefined : readFileSync(file));
const target = {
  host: values.host,
  port,
  authority: values.authority ?? `${values.host}:${port}`,
  timeoutMs: Number(values["timeout-ms"]),
  gapMs: Number(values["gap-ms"]),
  tls: values.tls
    ? { cert: pem(values.cert), key: pem(values.key), servername: values.servername }
    : undefined,
};

let passed = 0;
let tried = 0;
for (const { id, title, run } of CASES.filter((each) => each.id.startsWith(values.only))) {
  tried++;
  const started = performance.now();
  const problem = await attempt(run);
  const ms = (performance.now() - started).toFixed(0).padStart(5);
  if (problem === "") passed++;
  if (problem === "" && values["failures-only"]) continue;
  process.stdout.write(`${problem === "" ? "ok  " : "FAIL"} ${ms} ms  ${id.padEnd(16)} ${title}\n`);
  if (problem !== "") process.stdout.write(`               ${problem}\n`);
}
process.stdout.write(`${passed} of ${tried} cases pass\n`);
process.exitCode = passed === tried && tried > 0 ? 0 : 1;

/** What is wrong with the server in this case; "" when nothing is. */
async function attempt(run) {
  let connection;
  try {
    connection = await Connection.open(target);
    await run(connection);
    return "";
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } finally {
    connection?.destroy();
  }
}
