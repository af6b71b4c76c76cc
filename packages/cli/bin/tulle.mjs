#!/usr/bin/env node
// Committed, unlike the build that it starts: npm links bins before it builds.
import { setFlagsFromString } from "node:v8";

const argv = process.argv.slice(2);
const isWorkload = ["run", "sidecar", "gateway"].includes(argv[0]);
// An idle sidecar would keep what starting up takes: a young generation that has grown, what the compilers need, and the
// code of what runs once.
// Lifted once the sidecar serves (launcher/v8-flags.ts).
if (isWorkload) {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--no-sparkplug");
  setFlagsFromString("--no-opt");
  setFlagsFromString("--stress-flush-code");
}
const { main } = await import(isWorkload ? "../dist/bundle/workload.mjs" : "../dist/main.js");
await main(argv);
