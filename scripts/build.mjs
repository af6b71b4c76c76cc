#!/usr/bin/env node
// Builds everything: xDS messages from their .proto files, every package with `tsc -b`, then the sidecar's bundle.
// Each step is skipped when its inputs have not changed, so that a second build takes a second.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { generateProtos } from "./generate-protos.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

await generateProtos(root);
run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b"]);
if (existsSync(join(root, "scripts/bundle.mjs"))) run(process.execPath, [join(root, "scripts/bundle.mjs")]);
