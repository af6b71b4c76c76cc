import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { OidcProvider } from "./support/oidc-provider.js";
import { getInsecurely, publicRootOf } from "./support/https.js";
import { Mesh } from "./support/mesh.js";
import { Wire } from "./support/wire.js";
import type { Workload } from "./support/workload.js";

// A control plane that callers log in at, as its users do it: the first admin's token from its file, tokens with roles,
// workloads that join with a token of their account. Secrets are planted everywhere and looked for on every surface.

const SECRET_YAML = `
apiVersion: v1
kind: Secret
metadata: {name: planted}
stringData: {password: canary-secret-hunter2}
`;

const own = mkdtempSync(join(tmpdir(), "tulle-access-"));
const auditFile = join(own, "audit.jsonl");
let provider: OidcProvider;
let mesh: Mesh;
let web: Workload;
let caller: Workload;
let caFile: string;
let admin: string;
let joinToken: string;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  const providers = join(own, "providers.yaml");
  provider = await OidcProvider.start();
  writeFileSync(
    providers,
    `
providers:
- issuer: ${provider.issuer}
  audiences: [tulle]
  name: preferred_username
  roles:
  - {claim: groups, values: [shop-team], role: operator, namespaces: [shop]}
  - {claim: groups, values: [everybody], role: read-only}
`,
  );
  const login = ["--require-login", "--oidc-providers", providers];
  mesh = await Mesh.start([...login, "--audit-log", auditFile, "--log-level", "debug"]);
  admin = readFileSync(join(mesh.directory, "data", "admin-token"), "utf8").trim();
  caFile = join(mesh.directory, "root.pem");
  writeFileSync(caFile, await publicRootOf(mesh.server));
  tokens["reader"] = await created("reader", "--role", "read-only");
  tokens["shop"] = await created("shop", "--role", "operator", "--namespace", "shop");
  joinToken = (await as(admin, "token", "create", "--join", "default/web")).output.trim();
  web = await mesh.run({
    service: "web",
    args: ["--log-level", "debug"],
    environment: { TULLE_JOIN_TOKEN: joinToken, TULLE_CA_FILE: caFile },
  });
  const callers = (await as(admin, "token", "create", "--join", "default/caller")).output.trim();
  caller = await mesh.run({
    service: "caller",
    args: ["--upstream", "web:8080", "--log-level", "debug"],
    environment: { TULLE_JOIN_TOKEN: callers, TULLE_CA_FILE: caFile },
  });
}, 120_000);

afterAll(async () => {
  await mesh?.end();
  provider?.close();
  rmSync(own, { recursive: true, force: true });
});

/** One request on a connection of its own; what comes back as far as the end of the head. */
async function wire(port: number, line: string, fields: Readonly<Record<string, string>>): Promise<string> {
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const connection = Wire.dial(port).write(`${line}\r\n${head.join("")}\r\n`);
  try {
    return await connection.receive(/\r\n\r\n/);
  } finally {
    connection.socket.destroy();
  }
}

/** `tulle` with that token and nothing else of the environment's. */
function as(token: string, ...args: readonly string[]): Promise<{ code: number; output: string }> {
  return mesh.tulle(args, { TULLE_TOKEN: token, TULLE_CA_FILE: caFile });
}

async function created(name: string, ...args: readonly string[]): Promise<string> {
  const { code, output } = await as(admin, "token", "create", name, ...args);
  expect([code, output]).toEqual([0, expect.stringMatching(/^tulle_/)]);
  return output.trim();
}

test("tulle login keeps token and root, and commands find them", async () => {
  const none = await mesh.tulle(["status"], { TULLE_CA_FILE: caFile });
  expect(none).toMatchObject({ code: 6, output: expect.stringContaining("log in") });
  const untrusted = await mesh.tulle(["status"], { TULLE_TOKEN: admin });
  expect(untrusted).toMatchObject({ code: 6, output: expect.stringContaining("--ca-fingerprint") });
  expect((await as(tokens["reader"] ?? "", "login")).code).toBe(0);
  expect(statSync(join(mesh.directory, "tulle", "credentials.json")).mode & 0o777).toBe(0o600);
  expect(await mesh.tulle(["get", "services"])).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^web +1\/1/m),
  });
});

test("people log in with tokens of an OpenID provider: their groups say what they may, and where", async () => {
  const everybody = await provider.token({ preferred_username: "eve", groups: ["everybody"] });
  expect(await as(everybody, "get", "services")).toMatchObject({ code: 0 });
  const file = join(mesh.directory, "shop.yaml");
  const policy = (namespace: string): string =>
    `apiVersion: tulle.dev/v1\nkind: TrafficPolicy\nmetadata: {name: web, namespace: ${namespace}}\nspec: {host: web, hedging: {after: 1s}}\n`;
  writeFileSync(file, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
  expect(await as(admin, "apply", "-f", file)).toMatchObject({ code: 0 });
  writeFileSync(file, policy("shop"));
  expect(await as(everybody, "apply", "-f", file)).toMatchObject({ code: 1 });
  const team = await provider.token({ preferred_username: "ann", groups: ["shop-team", "everybody"] });
  expect(await as(team, "apply", "-f", file)).toMatchObject({ code: 0 });
  expect(await as(team, "token", "list")).toMatchObject({ code: 6 });
  writeFileSync(file, policy("default"));
  expect(await as(team, "apply", "-f", file)).toMatchObject({ code: 1 });
  for (const refused of [
    await provider.token({ preferred_username: "bob", groups: ["others"] }),
    await provider.token({ preferred_username: "ann", groups: ["shop-team"] }, "grafana"),
    await provider.token({ preferred_username: "ann", groups: ["shop-team"] }, "tulle", -60),
  ])
    expect(await as(refused, "get", "services")).toMatchObject({ code: 6 });
  await eventually(() => readFileSync(auditFile, "utf8").includes(`"who":"oidc:${provider.issuer}#ann"`));
}, 30_000);

test("roles hold for commands: who may not is told so", async () => {
  const file = join(mesh.directory, "secret.yaml");
  writeFileSync(file, SECRET_YAML);
  for (const name of ["reader", "shop"]) {
    const applied = await as(tokens[name] ?? "", "apply", "-f", file);
    expect(applied).toMatchObject({
      code: 1,
      output: expect.stringContaining("secrets in namespace default"),
    });
  }
  expect(await as(admin, "apply", "-f", file)).toMatchObject({ code: 0 });
  const denied = await as(tokens["reader"] ?? "", "get", "secrets", "-o", "yaml");
  expect(denied).toMatchObject({ code: 6, output: expect.stringContaining("may not read secrets") });
  expect(await as(tokens["shop"] ?? "", "token", "list")).toMatchObject({ code: 6 });
  const listed = await as(admin, "token", "list");
  expect(listed.output).toMatch(/^shop +operator +shop/m);
});

test("a workload without a token is told how to get one", async () => {
  const stranger = mesh.launch({ service: "stranger", environment: { TULLE_CA_FILE: caFile } });
  expect(await stranger.exited).toBe(6);
  expect(stranger.output).toContain("tulle token create --join default/stranger");
});

test("workloads register with their own certificates, call each other, and leave", async () => {
  const answer = await eventually(async () => {
    const one = await call(`${caller.upstream("web:8080")}/`);
    return one.status === 200 ? one : undefined;
  });
  expect(answer.status).toBe(200);
  expect(readFileSync(join(mesh.directory, "state", "web", "identity.json"), "utf8")).toContain(
    "PRIVATE KEY",
  );
});

test("the audit log has the certificates that were issued, and joins that were refused", async () => {
  const refused = mesh.launch({
    service: "impostor",
    environment: { TULLE_CA_FILE: caFile, TULLE_JOIN_TOKEN: joinToken },
  });
  expect(await refused.exited).toBe(6);
  const records = await eventually(() => {
    const lines = readFileSync(auditFile, "utf8").trimEnd().split("\n");
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    return parsed.some(({ status }) => status === "UNAUTHENTICATED") ? parsed : undefined;
  });
  const path = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
  expect(records).toContainEqual(expect.objectContaining({ path, outcome: "denied", from: "127.0.0.1" }));
  const object = expect.stringMatching(
    /^certificate\/spiffe:\/\/cluster\.local\/ns\/default\/sa\/web [0-9A-F]+$/,
  );
  expect(records).toContainEqual(expect.objectContaining({ path, object, outcome: "done", status: "OK" }));
});

test("ADM-02 no surface shows what was planted: keys, tokens, Secrets", async () => {
  const file = join(mesh.directory, "secret.yaml");
  writeFileSync(file, SECRET_YAML);
  expect((await as(admin, "apply", "-f", file)).code).toBe(0);
  const planted = new Map<string, string>([
    ["secret", "canary-secret-hunter2"],
    ["secret in base64", Buffer.from("canary-secret-hunter2").toString("base64")],
    ["join token", joinToken],
    ["admin's token", admin],
    ...Object.entries(tokens),
    ...["web", "caller"].map((name) => [`key of ${name}`, keyOf(name)] as const),
  ]);
  const surfaces = new Map<string, string>();
  for (const workload of [web, caller]) {
    const { admin: at, metrics } = workload.ready.addresses;
    for (const path of ADMIN_PATHS) {
      const { status, body } = await call(`http://${at.host}:${at.port}${path}`);
      expect([path, status]).toEqual([path, 200]);
      surfaces.set(`${workload.name} ${path}`, body);
    }
    const scraped = await call(`http://${metrics.host}:${metrics.port}/stats/prometheus`);
    surfaces.set(`${workload.name} metrics`, scraped.body);
  }
  for (const path of CONTROL_PATHS) {
    surfaces.set(path, await getInsecurely(`${mesh.server}${path}`, tokens["reader"]));
  }
  for (const args of READER_COMMANDS) {
    surfaces.set(args.join(" "), (await as(tokens["reader"] ?? "", ...args)).output);
  }
  // Not what an admin's own commands printed: those are asked for tokens.
  for (const name of ["control-plane.log", "web.log", "caller.log"]) {
    surfaces.set(name, readFileSync(join(mesh.directory, name), "utf8"));
  }
  surfaces.set("audit log", readFileSync(auditFile, "utf8"));
  surfaces.set("environment of the application", readFileSync(`/proc/${web.ready.appPid}/environ`, "utf8"));
  for (const [where, text] of surfaces) {
    expect([where, text.length > 0]).toEqual([where, true]);
    for (const [what, canary] of planted)
      expect([where, what, text.includes(canary)]).toEqual([where, what, false]);
    expect([where, /PRIVATE KEY/.test(text)]).toEqual([where, false]);
  }
  // That it would be found: an operator who may read it does.
  expect((await as(admin, "get", "secrets", "-o", "yaml")).output).toContain(planted.get("secret in base64"));
}, 120_000);

const ADMIN_PATHS = [
  "/config_dump?include_eds",
  "/config_dump",
  "/certs",
  "/clusters",
  "/clusters?format=json",
  "/listeners?format=json",
  "/server_info",
  "/stats",
  "/stats?format=json",
  "/memory",
  "/help",
];
const CONTROL_PATHS = [
  "/metrics",
  "/tulle/v1/info",
  "/tulle/v1/status",
  "/tulle/v1/endpoints",
  "/tulle/v1/who-am-i",
  "/tulle/v1/effective-policy?host=web",
  "/v1/agent/services",
  "/v1/catalog/services",
  "/v1/health/service/web",
  "/v1/agent/self",
  "/api/v1/secrets",
  "/api/v1/namespaces/default/secrets/planted",
  "/api/v1/namespaces/default/secrets?watch=true",
  "/apis/networking.istio.io/v1/virtualservices",
];
const READER_COMMANDS = [
  ["status", "-o", "json"],
  ["get", "all", "-A", "-o", "yaml"],
  ["get", "secrets", "-A", "-o", "yaml"],
  ["describe", "service", "web"],
  ["analyze"],
  ["endpoints"],
  ["explain", "--from", "caller", "GET", "http://web:8080/"],
];

/** The middle of a workload's private key, as its file has it. */
function keyOf(name: string): string {
  const file = join(mesh.directory, "state", name, "identity.json");
  const { privateKeyPem } = JSON.parse(readFileSync(file, "utf8")) as { readonly privateKeyPem: string };
  return privateKeyPem.split("\n")[1] ?? "";
}

test.each([
  ["the admin port by its address", (port: number) => ({ target: `http://127.0.0.1:${port}/quitquitquit` })],
  ["the admin port by its name", (port: number) => ({ target: "/quitquitquit", host: `localhost:${port}` })],
  ["the admin port as a number", (port: number) => ({ target: `http://2130706433:${port}/quitquitquit` })],
  ["the admin port on ::1", (port: number) => ({ target: `http://[::1]:${port}/quitquitquit` })],
  ["the admin port on 0.0.0.0", (port: number) => ({ target: `http://0.0.0.0:${port}/quitquitquit` })],
  ["the machine's metadata", () => ({ target: "http://169.254.169.254/latest/meta-data" })],
])("ADM-03 SSRF-01 the outbound port does not lead to %s", async (_what, make) => {
  const { outbound, admin: at } = caller.ready.addresses;
  const { target, host } = make(at.port) as { readonly target: string; readonly host?: string };
  const fields = { host: host ?? new URL(target).host };
  for (const method of ["GET", "POST"]) {
    const answer = await wire(outbound.port, `${method} ${target} HTTP/1.1`, fields);
    expect(answer).toMatch(/^HTTP\/1\.1 (?:400|403|404|502|503) /);
  }
  const authority = fields.host.includes(":") ? fields.host : `${fields.host}:80`;
  const tunnel = await wire(outbound.port, `CONNECT ${authority} HTTP/1.1`, { host: authority });
  expect(tunnel).not.toMatch(/^HTTP\/1\.1 2/);
  expect(caller.process.running).toBe(true);
});

test.each([
  ["a Host that was rebound", { host: "evil.example" }, 403],
  ["a Host that only begins like ours", { host: "localhost.evil.example" }, 403],
  ["a Host that is an address of nobody's", { host: "127.0.0.1.evil.example:15000" }, 403],
  ["no Host", { host: "" }, 403],
  ["another site's Origin", { host: "localhost", origin: "http://evil.example" }, 403],
  ["a page without an origin", { host: "localhost", origin: "null" }, 403],
  ["a browser that tells where it is from", { host: "localhost", "sec-fetch-site": "cross-site" }, 403],
])("ADM-01 the admin port refuses %s", async (_what, fields, status) => {
  const { admin: at } = caller.ready.addresses;
  for (const path of ["/quitquitquit", "/drain_listeners", "/logging?level=debug"]) {
    const answer = await wire(at.port, `POST ${path} HTTP/1.1`, { ...fields, "content-length": "0" });
    expect(answer.slice(9, 12)).toBe(String(status));
  }
  expect(await wire(at.port, "GET /quitquitquit HTTP/1.1", { host: "localhost" })).toMatch(/^HTTP\/1\.1 405/);
  expect(caller.process.running).toBe(true);
});
