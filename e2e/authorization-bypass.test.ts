import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { SECRET_PATH, SECRET_TEXT, spellings } from "./support/spellings.js";
import type { Workload } from "./support/workload.js";

// A page that a policy denies, asked for in every way that a server may read as that page. Servers decide what a path
// means, so real ones are asked: nginx and Apache from Debian.

const MODES = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;
const POLICIES = {
  deny: `{action: DENY, rules: [{to: [{operation: {paths: [${SECRET_PATH}]}}]}]}`,
  allow: `{rules: [{to: [{operation: {notPaths: [${SECRET_PATH}]}}]}]}`,
};
/** Requests that are sent before an answer is read. */
const PIPELINED = 16;
const CONNECTIONS = 8;

function has(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const SERVERS = [
  { name: "nginx", found: has("/usr/sbin/nginx", "-v"), command: nginx },
  { name: "apache2", found: has("/usr/sbin/apache2", "-v"), command: apache },
];

/** The pages, readable for whoever the server runs as. */
function site(directory: string): string {
  const root = join(directory, "site");
  for (const folder of ["private", "public", "public/x", "x", "x/y"])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "private/secret.html"), SECRET_TEXT);
  writeFileSync(join(root, "public/index.html"), "public");
  chmodSync(directory, 0o755);
  return root;
}

function nginx(directory: string): readonly string[] {
  const file = join(directory, "nginx.conf");
  writeFileSync(
    `${file}.in`,
    `daemon off; pid ${directory}/nginx.pid; error_log ${directory}/error.log; events {}
http { access_log off; keepalive_requests 1000000; client_body_temp_path ${directory}; proxy_temp_path ${directory};
fastcgi_temp_path ${directory}; uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
server { listen 127.0.0.1:PORT; root ${site(directory)}; } }
`,
  );
  return [
    "sh",
    "-c",
    `sed "s/PORT/$PORT/" ${file}.in > ${file}; exec /usr/sbin/nginx -e ${directory}/error.log -c ${file}`,
  ];
}

function apache(directory: string): readonly string[] {
  const file = join(directory, "apache.conf");
  const modules = "/usr/lib/apache2/modules";
  writeFileSync(
    file,
    `ServerRoot ${directory}
ServerName localhost
Listen 127.0.0.1:\${PORT}
PidFile ${directory}/apache.pid
ErrorLog ${directory}/error.log
LoadModule mpm_event_module ${modules}/mod_mpm_event.so
LoadModule authz_core_module ${modules}/mod_authz_core.so
LoadModule dir_module ${modules}/mod_dir.so
DocumentRoot ${site(directory)}
MaxKeepAliveRequests 0
AllowEncodedSlashes NoDecode
<Directory "/">
  Require all granted
</Directory>
`,
  );
  return ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", file];
}

interface Asked {
  readonly requests: number;
  readonly leaks: readonly string[];
}

/** Asks for every target over a few connections, several requests at a time; answers are read as one text. */
async function ask(workload: Workload, targets: readonly string[]): Promise<Asked> {
  const leaks: string[] = [];
  const left = [...targets];
  let requests = 0;
  const worker = async (): Promise<void> => {
    for (let batch = left.splice(0, PIPELINED); batch.length > 0; batch = left.splice(0, PIPELINED)) {
      const text = await exchange(workload, batch);
      // What is malformed ends the connection: those behind it are asked again.
      const answered = Math.max(1, text.match(/^HTTP\/1\.1 [2-5]/gm)?.length ?? 0);
      requests += Math.min(answered, batch.length);
      left.push(...batch.slice(answered));
      if (!text.includes(SECRET_TEXT)) continue;
      // Who of them it was is found out one by one.
      for (const target of batch)
        if ((await exchange(workload, [target])).includes(SECRET_TEXT)) leaks.push(target);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { requests, leaks };
}

/** What came back until the connection ended: after the last request, or where a request was refused as malformed. */
function exchange(workload: Workload, targets: readonly string[]): Promise<string> {
  const { host, port } = workload.ready.addresses.inbound;
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, host);
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(text));
    const requests = targets.map((target, index) => {
      const last = index === targets.length - 1 ? "connection: close\r\n" : "";
      return `GET ${target} HTTP/1.1\r\nhost: site:8080\r\n${last}\r\n`;
    });
    // In UTF-8, as browsers would send what is no ASCII.
    socket.write(requests.join(""));
  });
}

for (const { name, found, command } of SERVERS) {
  test.skipIf(!found)(
    `no spelling of a denied path reaches the page of ${name}${found ? "" : " (Debian package missing: scripts/peers.sh)"}`,
    async () => {
      const targets = spellings();
      let requests = 0;
      for (const mode of MODES) {
        const directory = mkdtempSync(join(tmpdir(), "tulle-bypass-"));
        const mesh = await Mesh.start(["--path-normalization", mode]);
        try {
          const workload = await mesh.run({
            service: "site",
            command: command(directory),
            healthPath: "",
            args: ["--protocol", "http"],
          });
          const status = async (): Promise<number> => {
            const { host, port } = workload.ready.addresses.inbound;
            return (await call(`http://${host}:${port}${SECRET_PATH}`, { headers: { host: "site:8080" } }))
              .status;
          };
          if (mode === "NONE") {
            // Without a policy many of them do: what follows would say nothing else.
            await eventually(async () => (await status()) === 200);
            const sample = targets.filter((_, index) => index % 8 === 0);
            expect((await ask(workload, sample)).leaks.length).toBeGreaterThan(20);
          }
          for (const [policy, spec] of Object.entries(POLICIES)) {
            await eventually(async () => (await status()) === 200);
            await mesh.apply(
              `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: page}\nspec: ${spec}\n`,
            );
            await eventually(async () => (await status()) === 403);
            const asked = await ask(workload, targets);
            expect([name, mode, policy, asked.leaks]).toEqual([name, mode, policy, []]);
            requests += asked.requests;
            await call(
              `${mesh.server}/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/page`,
              { method: "DELETE" },
            );
          }
        } finally {
          await mesh.end();
          rmSync(directory, { recursive: true, force: true });
        }
      }
      expect(requests).toBeGreaterThan(12_000);
    },
    600_000,
  );
}
