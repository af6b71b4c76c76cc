#!/usr/bin/env node
// Committed, unlike the build that it starts: npm links bins before it builds.
import { main } from "../dist/main.js";

await main(process.argv.slice(2));
