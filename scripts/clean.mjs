#!/usr/bin/env node
// Removes everything that a build makes.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
for (const name of readdirSync(join(root, "packages"))) {
  rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true });
}
rmSync(join(root, "packages/xds/src/gen"), { recursive: true, force: true });
rmSync(join(root, ".build"), { recursive: true, force: true });
