#!/usr/bin/env node
// Refuses what the compiler cannot: npm hoists every workspace, so an import of a package that is not allowed, or not
// declared, compiles all the same. Reads every import of packages/*/src/**/*.ts (tests excepted).
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Which workspaces a package may import. */
const ALLOWED = {
  base: [],
  api: ["base"],
  xds: ["base"],
  http: ["base"],
  dns: ["base"],
  admission: ["base", "api"],
  translate: ["base", "api", "xds"],
  engine: ["base", "xds", "http"],
  registry: ["base", "api", "dns"],
  agent: ["base", "xds", "http"],
  proxy: ["base", "xds", "http", "dns", "engine", "agent"],
  control: ["base", "api", "admission", "http", "dns", "xds", "translate", "engine", "registry"],
  client: ["base", "api"],
  cli: ["base", "api", "admission", "xds", "translate", "engine", "client", "agent", "proxy", "control"],
  testkit: ["base", "xds"],
};

/** Which Node.js builtins a package may import; `*` = any. Pure packages have none. */
const BUILTINS = {
  base: [],
  api: [],
  xds: [],
  http: [],
  dns: [],
  admission: [],
  translate: [],
  engine: [],
  registry: ["dgram", "dns", "http", "http2", "https", "net", "tls"],
  agent: ["crypto", "fs", "fs/promises", "net", "path", "tls"],
  proxy: "*",
  control: "*",
  client: [],
  cli: "*",
  testkit: "*",
};

/** Folders of pure packages that are edges: their own entry point, builtins that only they may import. */
const EDGES = [
  { package: "base", folder: "files", builtins: ["fs", "path"] },
  { package: "base", folder: "spiffe", builtins: ["crypto"] },
  { package: "dns", folder: "server", builtins: ["dgram", "net"] },
  { package: "http", folder: "socket", builtins: ["net", "tls", "util"] },
];

/** Folder edges inside packages: files under `from` may not import files under `to`. */
const FORBIDDEN_FOLDERS = [
  { package: "control", from: "stores", to: ["config", "push", "api-server", "ca", "grpc"] },
  { package: "control", from: "config", to: ["push", "api-server"] },
  { package: "control", from: "push", to: ["api-server", "ca"] },
  { package: "control", from: "ca", to: ["push", "api-server", "config"] },
  { package: "proxy", from: "upstream", to: ["listener", "admin", "xds"] },
  { package: "proxy", from: "telemetry", to: ["listener", "upstream", "admin", "xds"] },
];

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\s*\(\s*["']([^"']+)["']\s*\)|\brequire\s*\(\s*["']([^"']+)["']\s*\)/g;

const problems = [];
let modules = 0;

for (const name of readdirSync(join(root, "packages"))) {
  const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
  if (!(name in ALLOWED)) {
    problems.push(`packages/${name}: not in the table of layers (scripts/check-layers.mjs)`);
    continue;
  }
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));
  for (const dependency of declared) {
    if (dependency.startsWith("@tulle/") && !ALLOWED[name].includes(dependency.slice(7))) {
      problems.push(`packages/${name}/package.json: may not depend on ${dependency}`);
    }
  }
  for (const file of sources(join(root, "packages", name, "src"))) {
    modules++;
    for (const specifier of importsOf(file)) check(name, file, specifier, declared);
  }
}

if (modules < 100) problems.push(`only ${modules} modules were found: the check itself is broken`);
if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n`);
  process.exit(1);
}
process.stdout.write(`layers: ${modules} modules checked\n`);

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "gen" && entry.name !== "testdata" && entry.name !== "contract")
        yield* sources(path);
    } else if (/\.m?ts$/.test(path) && !path.endsWith(".test.ts")) yield path;
  }
}

function importsOf(file) {
  // Comments may quote imports; code in them is not code.
  const text = readFileSync(file, "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4]);
}

function check(name, file, specifier, declared) {
  const where = relative(root, file);
  const folders = FORBIDDEN_FOLDERS.filter((rule) => rule.package === name);
  const inPackage = relative(join(root, "packages", name, "src"), file);
  const edges = EDGES.filter((rule) => rule.package === name);
  const edge = edges.find(({ folder }) => inPackage.startsWith(`${folder}/`));
  if (specifier.startsWith(".")) {
    const to = relative(join(root, "packages", name, "src"), join(file, "..", specifier));
    if (edges.some((other) => other !== edge && to.startsWith(`${other.folder}/`))) {
      problems.push(`${where}: only other packages may import ${to}`);
    }
    for (const rule of folders) {
      if (inPackage.startsWith(`${rule.from}/`) && rule.to.some((folder) => to.startsWith(`${folder}/`))) {
        problems.push(`${where}: ${rule.from}/ may not import ${to}`);
      }
    }
    return;
  }
  if (specifier.startsWith("node:")) {
    const builtin = specifier.slice(5);
    const allowed = edge?.builtins ?? BUILTINS[name];
    if (allowed !== "*" && !allowed.includes(builtin)) {
      problems.push(`${where}: ${name} may not import ${specifier}`);
    }
    return;
  }
  const parts = specifier.split("/");
  const target = specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
  if (target.startsWith("@tulle/") && !ALLOWED[name].includes(target.slice(7))) {
    problems.push(`${where}: ${name} may not import ${target}`);
  } else if (!declared.has(target)) {
    problems.push(`${where}: ${target} is not declared in packages/${name}/package.json`);
  }
}
