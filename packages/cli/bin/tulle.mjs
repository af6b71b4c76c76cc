#!/usr/bin/env -S node --max-semi-space-size=4
// Committed, unlike the build that it starts: npm links bins before it builds. The flag keeps the memory of idle
// sidecars low: without it V8 keeps the young generation as large as start-up made it.
const argv = process.argv.slice(2);
const isWorkload = argv[0] === "run" || argv[0] === "sidecar";
const { main } = await import(isWorkload ? "../dist/bundle/workload.mjs" : "../dist/main.js");
await main(argv);
