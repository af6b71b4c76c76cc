// Generates the TypeScript of the xDS messages (packages/xds/src/gen, never committed) from the .proto files that the
// npm package @grpc/grpc-js-xds ships and from our own in packages/xds/proto.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Folders and files of the Envoy API that we compile, with all that they import. */
const PATHS = [
  "envoy/service/auth/v3",
  "envoy/service/discovery/v3",
  "envoy/service/ratelimit/v3",
  "envoy/service/runtime/v3",
  "envoy/service/status/v3",
  "envoy/config/core/v3",
  "envoy/config/listener/v3",
  "envoy/config/route/v3",
  "envoy/config/cluster/v3",
  "envoy/config/endpoint/v3",
  "envoy/config/rbac/v3",
  "envoy/config/accesslog/v3",
  "envoy/config/bootstrap/v3",
  "envoy/admin/v3",
  "envoy/extensions/access_loggers/file/v3",
  "envoy/extensions/clusters/aggregate/v3",
  "envoy/extensions/filters/common/fault/v3",
  "envoy/extensions/filters/http/adaptive_concurrency/v3",
  "envoy/extensions/filters/http/admission_control/v3",
  "envoy/extensions/filters/http/fault/v3",
  "envoy/extensions/filters/http/grpc_json_transcoder/v3",
  "envoy/extensions/filters/http/grpc_web/v3",
  "envoy/extensions/filters/http/rbac/v3",
  "envoy/extensions/filters/http/router/v3",
  "envoy/extensions/filters/http/jwt_authn/v3",
  "envoy/extensions/filters/http/local_ratelimit/v3",
  "envoy/extensions/filters/http/ratelimit/v3",
  "envoy/extensions/filters/http/ext_authz/v3",
  "envoy/extensions/filters/http/cors/v3",
  "envoy/extensions/filters/http/stateful_session/v3",
  "envoy/extensions/filters/listener/http_inspector/v3",
  "envoy/extensions/filters/listener/proxy_protocol/v3",
  "envoy/extensions/filters/listener/tls_inspector/v3",
  "envoy/extensions/filters/network/ext_authz/v3",
  "envoy/extensions/filters/network/http_connection_manager/v3",
  "envoy/extensions/filters/network/rbac/v3",
  "envoy/extensions/filters/network/tcp_proxy/v3",
  "envoy/extensions/http/stateful_session",
  "envoy/extensions/health_check/event_sinks/file/v3",
  "envoy/extensions/health_checkers/redis/v3",
  "envoy/extensions/internal_redirect",
  "envoy/extensions/load_balancing_policies",
  "envoy/extensions/path/match/uri_template/v3",
  "envoy/extensions/path/rewrite/uri_template/v3",
  "envoy/extensions/retry/host/omit_host_metadata/v3",
  "envoy/extensions/retry/priority/previous_priorities/v3",
  "envoy/extensions/transport_sockets/proxy_protocol/v3",
  "envoy/extensions/transport_sockets/tls/v3",
  "envoy/extensions/transport_sockets/raw_buffer/v3",
  "envoy/extensions/upstreams/http/v3",
  "envoy/type/v3",
  "envoy/type/matcher/v3",
];

/**
 * @param {string} root the workspace folder
 * @returns {Promise<void>} when packages/xds/src/gen is up to date
 */
export async function generateProtos(root) {
  const require = createRequire(join(root, "package.json"));
  const deps = join(dirname(require.resolve("@grpc/grpc-js-xds/package.json")), "deps");
  const own = join(root, "packages/xds/proto");
  const newer = join(root, "packages/xds/proto-newer");
  const out = join(root, "packages/xds/src/gen");
  const stamp = join(out, ".stamp");
  const wanted = fingerprint(root, [own, newer]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;

  const work = join(root, ".build/proto");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, "pgv/validate"), { recursive: true });
  for (const dir of ["envoy-api", "xds", "googleapis"])
    cpSync(join(deps, dir), join(work, dir), { recursive: true });
  // Messages of a later release of Envoy's API than the package's, with what it has not yet.
  cpSync(newer, join(work, "envoy-api"), { recursive: true });
  cpSync(own, join(work, "own"), { recursive: true });
  patchValidate(
    join(deps, "protoc-gen-validate/validate/validate.proto"),
    join(work, "pgv/validate/validate.proto"),
  );

  const modules = ["envoy-api", "xds", "googleapis", "pgv", "own"];
  writeFileSync(
    join(work, "buf.yaml"),
    `version: v2\nmodules:\n${modules.map((m) => `  - path: ${m}\n`).join("")}`,
  );
  const inputs = [
    ...PATHS.map((path) => `envoy-api/${path}`),
    "own/envoy",
    "own/istio",
    "own/spiffe",
    "own/tulle",
    "own/xds",
  ].filter((path) => existsSync(join(work, path)));
  writeFileSync(
    join(work, "buf.gen.yaml"),
    JSON.stringify({
      version: "v2",
      clean: true,
      inputs: [{ directory: ".", paths: inputs }],
      plugins: [
        {
          local: join(root, "node_modules/.bin/protoc-gen-es"),
          out,
          include_imports: true,
          // One plugin run instead of one per directory: 1.3 s instead of 16 s.
          strategy: "all",
          opt: ["target=ts", "import_extension=js"],
        },
      ],
    }),
  );
  const buf = spawnSync(join(root, "node_modules/.bin/buf"), ["generate"], { cwd: work, stdio: "inherit" });
  if (buf.status !== 0)
    throw new Error(`buf generate failed with status ${buf.status}; see its output above`);
  writeFileSync(stamp, wanted);
}

/** The bundled validate.proto is older than the Envoy protos, which use one option that it lacks. */
function patchValidate(from, to) {
  const text = readFileSync(from, "utf8");
  const patched = text.replace(
    "optional bool strict = 25 [default = true];",
    "$&\n  optional bool ignore_empty = 26;",
  );
  if (patched === text)
    throw new Error(`${from}: StringRules.strict not found, the patch for ignore_empty is out of date`);
  writeFileSync(to, patched);
}

function fingerprint(root, folders) {
  const hash = createHash("sha256");
  hash.update(readFileSync(join(root, "scripts/generate-protos.mjs")));
  hash.update(readFileSync(join(root, "package-lock.json")));
  for (const folder of folders) {
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (file.isFile()) hash.update(readFileSync(join(file.parentPath, file.name)));
    }
  }
  return hash.digest("hex");
}
