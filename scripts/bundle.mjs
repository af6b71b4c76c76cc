#!/usr/bin/env node
// Bundles `tulle run` and `tulle sidecar` into packages/cli/dist/bundle (workload.mjs, worker.mjs): few files instead of several
// hundred modules saves some 40 MB of memory and half of the start-up time of every sidecar. What is needed rarely
// (messages for /config_dump) becomes chunks of its own, loaded on demand. Names stay readable.
import { build } from "esbuild";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { leanWellKnown, usedOnly, withoutAnnotations } from "./descriptors.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "packages/cli/dist/bundle");
/** What ends up in the bundle, from our side. */
const PACKAGES = ["base", "api", "client", "xds", "http", "dns", "engine", "agent", "proxy", "cli"];

/** Files of google.protobuf that messages use. */
const WELL_KNOWN_TYPES = ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"];

/** What is bundled apart, for `require`: it is loaded where the configuration has use for it. */
const TRANSCODING = "transcoding";

const stamp = join(out, ".stamp");
const wanted = fingerprint();
if (readIfThere(stamp) === wanted) process.exit(0);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  plugins: [generatedCode(), lazyRegularExpressions(), lazyTranscoding()],
  entryPoints: {
    workload: join(root, "packages/cli/dist/workload-main.js"),
    // A thread of its own (proxy/src/workers/spawn-worker.ts looks for it beside itself).
    worker: join(root, "packages/proxy/dist/workers/worker.mjs"),
  },
  outdir: out,
  outExtension: { ".js": ".mjs" },
  chunkNames: "[name]-[hash]",
  bundle: true,
  // Native and optional: found in node_modules when a sidecar intercepts.
  external: ["koffi"],
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  treeShaking: true,
  keepNames: false,
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "linked",
  logLevel: "warning",
  // CommonJS dependencies (grpc-js) call require() for Node.js' builtins, which ES modules do not have.
  banner: {
    js: 'import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url); import { fileURLToPath as fileURLToPath_ } from "node:url"; import { dirname as dirname_ } from "node:path"; const __filename = fileURLToPath_(import.meta.url); const __dirname = dirname_(__filename);',
  },
});
await build({
  entryPoints: { [TRANSCODING]: join(root, "packages/xds/dist/transcoding/index.js") },
  outdir: out,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "linked",
  logLevel: "warning",
});
writeFileSync(stamp, wanted);

/**
 * Generated code in two forms: for `/config_dump`, which prints messages whole, without annotations only; for all others
 * with what they use, as descriptors that take little memory.
 */
function generatedCode() {
  const generated = /_pb\.js$/;
  const printed = "printed";
  const wellKnown = /^@bufbuild\/protobuf\/wkt$/;
  const wellKnownFiles = join(root, "node_modules/@bufbuild/protobuf/dist/esm/wkt/google/protobuf");
  const isPrinted = ({ importer, namespace }) =>
    namespace === printed || importer.endsWith("json-registry-messages.js");
  return {
    name: "generated-code",
    setup(builder) {
      const used = usedOnly(
        join(root, "packages/xds/dist/gen"),
        wordsOf(["xds", "engine", "agent", "proxy", "cli"]),
      );
      builder.onResolve({ filter: generated }, (request) =>
        isPrinted(request) ? { path: join(request.resolveDir, request.path), namespace: printed } : undefined,
      );
      builder.onResolve({ filter: wellKnown }, (request) =>
        isPrinted(request) ? { path: "well-known-types", namespace: printed } : undefined,
      );
      builder.onLoad({ filter: /^well-known-types$/, namespace: printed }, () => ({
        contents: WELL_KNOWN_TYPES.map((name) => `export * from "./${name}_pb.js";`).join("\n"),
        resolveDir: wellKnownFiles,
      }));
      builder.onLoad({ filter: generated, namespace: printed }, ({ path }) => ({
        contents: withoutAnnotations(readFileSync(path, "utf8")),
        resolveDir: dirname(path),
      }));
      builder.onLoad({ filter: generated }, ({ path }) => {
        const contents = used.get(path) ?? wellKnownType(path);
        return contents === undefined ? undefined : { contents };
      });
    },
  };

  function wellKnownType(path) {
    const isOne = WELL_KNOWN_TYPES.some((name) => path === join(wellKnownFiles, `${name}_pb.js`));
    return isOne ? leanWellKnown(readFileSync(path, "utf8")) : undefined;
  }
}

/** Every identifier in the code of `packages`, but for generated code and the list of all messages. */
function wordsOf(packages) {
  const words = new Set();
  for (const name of packages) {
    const dist = join(root, "packages", name, "dist");
    for (const path of readdirSync(dist, { recursive: true })) {
      if (!/\.m?js$/.test(path) || path.startsWith("gen") || path.endsWith("json-registry-messages.js"))
        continue;
      if (path.startsWith("bundle") || path.startsWith("transcoding")) continue;
      for (const [word] of readFileSync(join(dist, path), "utf8").matchAll(/[A-Za-z_$][\w$]*/g))
        words.add(word);
    }
  }
  return words;
}

/**
 * The library of regular expressions is loaded from node_modules with the first rule that has one: its tables of Unicode
 * would take 3 MB of every sidecar.
 */
function lazyRegularExpressions() {
  return {
    name: "lazy-regular-expressions",
    setup(builder) {
      builder.onResolve({ filter: /^re2js$/ }, ({ path, namespace }) =>
        namespace === "lazy" ? { path, external: true } : { path, namespace: "lazy" },
      );
      builder.onLoad({ filter: /.*/, namespace: "lazy" }, () => ({
        contents: `export const RE2JS = { compile: (pattern) => require("re2js").RE2JS.compile(pattern) };`,
        resolveDir: root,
      }));
    },
  };
}

/** Calls by HTTP with JSON need messages made from descriptors: that is loaded with the first transcoder. */
function lazyTranscoding() {
  return {
    name: "lazy-transcoding",
    setup(builder) {
      builder.onResolve({ filter: /^@tulle\/xds\/transcoding$/ }, ({ path }) => ({
        path,
        namespace: "lazy-own",
      }));
      builder.onLoad({ filter: /.*/, namespace: "lazy-own" }, () => ({
        contents: `export const createTranscoder = (settings) => require("./${TRANSCODING}.cjs").createTranscoder(settings);`,
      }));
      builder.onResolve(
        { filter: new RegExp(`^\\./${TRANSCODING}\\.cjs$`), namespace: "lazy-own" },
        ({ path }) => ({
          path,
          external: true,
        }),
      );
    },
  };
}

/** Changes when anything that is bundled may have changed. */
function fingerprint() {
  const hash = createHash("sha256");
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
  hash.update(readFileSync(fileURLToPath(new URL("descriptors.mjs", import.meta.url))));
  hash.update(readFileSync(join(root, "package-lock.json")));
  for (const name of PACKAGES) {
    const dist = join(root, "packages", name, "dist");
    for (const file of readdirSync(dist, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath, file.name);
      if (!file.isFile() || !/\.m?js$/.test(file.name) || dirname(path).startsWith(out)) continue;
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest("hex");
}

function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
