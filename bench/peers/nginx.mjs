import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { installedVersion } from "../harness/program.mjs";
import { freePort, listening, start } from "../harness/spawned.mjs";

function version() {
  const found = installedVersion("nginx", ["-v"], /nginx\/([\d.]+)/);
  return found === undefined ? { missing: "nginx is not installed (scripts/peers.sh)" } : { version: found };
}

/** One worker, no access log, connections kept alive on both sides without limit. */
function configuration(directory, body) {
  return `
daemon off;
worker_processes 1;
pid ${join(directory, "nginx.pid")};
error_log stderr warn;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  client_body_temp_path ${join(directory, "body")};
  proxy_temp_path ${join(directory, "proxy")};
  fastcgi_temp_path ${join(directory, "fastcgi")};
  uwsgi_temp_path ${join(directory, "uwsgi")};
  scgi_temp_path ${join(directory, "scgi")};
${body}
}
`;
}

const upstream = (port) => `
  upstream next { server 127.0.0.1:${port}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }`;

const forward = (scheme, extra = "") => `
    location / {
      proxy_pass ${scheme}://next;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      ${extra}
    }`;

const forwardGrpc = (scheme, extra = "") => `
    location / {
      grpc_pass ${scheme}://next;
      ${extra}
    }`;

async function run(context, name, port, body) {
  const file = join(context.directory, `nginx-${name}-${port}.conf`);
  writeFileSync(file, configuration(context.directory, body));
  const log = join(context.directory, `nginx-${name}.log`);
  const args = ["-c", file, "-p", context.directory, "-e", "stderr"];
  const handle = start("nginx", args, { cpu: context.proxyCpu, log });
  await listening(port, handle);
  return handle;
}

/** Addresses that the origin listens on, so that a service can have ten endpoints. */
export const ORIGIN_ADDRESSES = Array.from({ length: 10 }, (_, i) => `127.0.0.${i + 1}`);

/** Answers `/1k` with a kibibyte and everything else with 78 bytes: the origin of most scenarios. */
export async function startOrigin(context) {
  const port = await freePort();
  const handle = await run(
    { ...context, proxyCpu: context.loadCpu },
    "origin",
    port,
    `
  server {
${ORIGIN_ADDRESSES.map((address) => `    listen ${address}:${port} backlog=4096;`).join("\n")}
    location / { default_type text/plain; return 200 "${"x".repeat(77)}\\n"; }
    location = /1k { default_type text/plain; return 200 "${"x".repeat(1023)}\\n"; }
  }`,
  );
  return { port, protocol: "http1", handle };
}

export const nginxHop = {
  name: "nginx",
  version,
  start: async (context, app) => {
    const port = await freePort();
    const handle = await run(
      context,
      "hop",
      port,
      `${upstream(app.port)}
  server {
    listen 127.0.0.1:${port} backlog=4096;${forward("http")}
  }`,
    );
    return { port, pids: [handle.pid], stop: handle.stop };
  },
};

/** `module`: prefix of the directives that forward, `proxy` or `grpc`. */
const pair = (name, module, listenOption, forwardBy, [plain, secure]) => ({
  name,
  version,
  start: async (context, app) => {
    const certificates = context.certificates();
    const [near, far] = [await freePort(), await freePort()];
    const server = await run(
      context,
      "far",
      far,
      `${upstream(app.port)}
  server {
    listen 127.0.0.1:${far} ssl${listenOption} backlog=4096;
    ssl_certificate ${certificates.server.certificate};
    ssl_certificate_key ${certificates.server.key};
    ssl_client_certificate ${certificates.authority};
    ssl_verify_client on;
    ssl_session_tickets off;
    ssl_protocols TLSv1.3;${forwardBy(plain)}
  }`,
    );
    const client = await run(
      context,
      "near",
      near,
      `${upstream(far)}
  server {
    listen 127.0.0.1:${near}${listenOption} backlog=4096;${forwardBy(
      secure,
      `${module}_ssl_certificate ${certificates.client.certificate};
      ${module}_ssl_certificate_key ${certificates.client.key};
      ${module}_ssl_trusted_certificate ${certificates.authority};
      ${module}_ssl_verify on;
      ${module}_ssl_name ${certificates.serverName};
      ${module}_ssl_server_name on;
      ${module}_ssl_protocols TLSv1.3;`,
    )}
  }`,
    );
    return {
      port: near,
      pids: [client.pid, server.pid],
      far: { port: far, pids: [server.pid], identity: context.clientIdentity() },
      stop: async () => {
        await client.stop();
        await server.stop();
      },
    };
  },
});

export const nginxPair = pair("nginx, HTTP/1.1 between", "proxy", "", forward, ["http", "https"]);
export const nginxGrpcPair = pair("nginx, a connection per call under way", "grpc", " http2", forwardGrpc, [
  "grpc",
  "grpcs",
]);
