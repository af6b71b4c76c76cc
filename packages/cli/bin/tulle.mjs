#!/usr/bin/env node
// Committed, unlike the build that it starts: npm links bins before it builds.
import { setFlagsFromString } from "node:v8";

const argv = process.argv.slice(2);
const isWorkload = argv[0] === "run" || argv[0] === "sidecar";
// Starting up must not grow the young generation: an idle sidecar would keep it. Lifted once the sidecar serves
// (launcher/young-generation.ts).
if (isWorkload) setFlagsFromString("--semi-space-growth-factor=1");
const { main } = await import(isWorkload ? "../dist/bundle/workload.mjs" : "../dist/main.js");
await main(argv);
