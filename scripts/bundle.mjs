#!/usr/bin/env node
// Bundles `tulle run` and `tulle sidecar` into packages/cli/dist/bundle (workload.mjs, worker.mjs): few files instead of several
// hundred modules saves some 40 MB of memory and half of the start-up time of every sidecar. What is needed rarely
// (messages for /config_dump) becomes chunks of its own, loaded on demand. Names stay readable.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FieldOptionsSchema, FileDescriptorProtoSchema, MessageOptionsSchema } from "@bufbuild/protobuf/wkt";
import { build } from "esbuild";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "packages/cli/dist/bundle");
/** What ends up in the bundle, from our side. */
const PACKAGES = ["base", "api", "client", "xds", "http", "dns", "engine", "agent", "proxy", "cli"];

const stamp = join(out, ".stamp");
const wanted = fingerprint();
if (readIfThere(stamp) === wanted) process.exit(0);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  plugins: [withoutAnnotations(), withoutProtoLoader()],
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
  legalComments: "linked",
  logLevel: "warning",
  // CommonJS dependencies (grpc-js) call require() for Node.js' builtins, which ES modules do not have.
  banner: {
    js: 'import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url); import { fileURLToPath as fileURLToPath_ } from "node:url"; import { dirname as dirname_ } from "node:path"; const __filename = fileURLToPath_(import.meta.url); const __dirname = dirname_(__filename);',
  },
});
writeFileSync(stamp, wanted);

/**
 * Descriptors without what only code generators and validators read: annotations, reserved names, extensions. They are
 * built into objects when a module loads and would stay in memory for ever.
 */
function withoutAnnotations() {
  const annotations = /^file_(validate_validate|udpa_annotations_|envoy_annotations_|xds_annotations_)/;
  return {
    name: "without-annotations",
    setup(builder) {
      builder.onLoad({ filter: /xds[\\/]dist[\\/]gen[\\/].*_pb\.js$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        const contents = text.replace(
          /fileDesc\("([^"]*)"(?:, \[([^\]]*)\])?\)/,
          (_all, base64, imports = "") => {
            const kept = imports.split(", ").filter((name) => name !== "" && !annotations.test(name));
            return `fileDesc("${slim(base64)}", [${kept.join(", ")}])`;
          },
        );
        return {
          contents: contents.replace(/^import \{ (\w+) \} from .*$/gm, (line, name) =>
            annotations.test(name) ? "" : line,
          ),
        };
      });
    },
  };
}

function slim(base64) {
  const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64"));
  file.options = undefined;
  file.extension = [];
  file.publicDependency = [];
  file.weakDependency = [];
  file.messageType.forEach(slimMessage);
  file.enumType.forEach(slimEnum);
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("base64");
}

function slimMessage(message) {
  // The one message option that decoding depends on.
  message.options =
    message.options?.mapEntry === true ? create(MessageOptionsSchema, { mapEntry: true }) : undefined;
  message.extension = [];
  message.reservedName = [];
  message.reservedRange = [];
  for (const field of message.field) {
    const packed = field.options?.packed;
    field.options = packed === undefined ? undefined : create(FieldOptionsSchema, { packed });
  }
  for (const oneof of message.oneofDecl) oneof.options = undefined;
  message.nestedType.forEach(slimMessage);
  message.enumType.forEach(slimEnum);
}

function slimEnum(type) {
  type.options = undefined;
  type.reservedName = [];
  type.reservedRange = [];
  for (const value of type.value) value.options = undefined;
}

/** grpc-js asks for its .proto loader (and with it a second protobuf library) for channelz and ORCA only. */
function withoutProtoLoader() {
  return {
    name: "without-proto-loader",
    setup(builder) {
      builder.onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: "absent" }));
      builder.onLoad({ filter: /.*/, namespace: "absent" }, ({ path }) => ({
        contents: `throw new Error(${JSON.stringify(`${path} is not part of this bundle`)});`,
      }));
    },
  };
}

/** Changes when anything that is bundled may have changed. */
function fingerprint() {
  const hash = createHash("sha256");
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
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
