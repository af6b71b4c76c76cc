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
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
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

async function run(context, name, port, body) {
  const file = join(context.directory, `nginx-${name}.conf`);
  writeFileSync(file, configuration(context.directory, body));
  const log = join(context.directory, `nginx-${name}.log`);
  const args = ["-c", file, "-p", context.directory, "-e", "stderr"];
  const handle = start("nginx", args, { cpu: context.proxyCpu, log });
  await listening(port, handle);
  return handle;
}

/** Answers every request with 78 bytes: the origin of all scenarios. */
export async function startOrigin(context) {
  const port = await freePort();
  const handle = await run(
    { ...context, proxyCpu: context.loadCpu },
    "origin",
    port,
    `
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { default_type text/plain; return 200 "${"x".repeat(77)}\\n"; }
  }`,
  );
  return { port, handle };
}

export const nginxOneHop = {
  name: "nginx",
  scenario: "one hop, HTTP/1.1",
  version,
  start: async (context) => {
    const port = await freePort();
    const handle = await run(
      context,
      "hop",
      port,
      `${upstream(context.originPort)}
  server {
    listen 127.0.0.1:${port} backlog=4096;${forward("http")}
  }`,
    );
    return { url: `http://127.0.0.1:${port}/`, pids: [handle.pid], stop: handle.stop };
  },
};

export const nginxPair = {
  name: "nginx, HTTP/1.1 between",
  scenario: "sidecar pair, mutual TLS 1.3",
  version,
  start: async (context) => {
    const { certificates } = context;
    const [near, far] = [await freePort(), await freePort()];
    const server = await run(
      context,
      "far",
      far,
      `${upstream(context.originPort)}
  server {
    listen 127.0.0.1:${far} ssl backlog=4096;
    ssl_certificate ${certificates.server.certificate};
    ssl_certificate_key ${certificates.server.key};
    ssl_client_certificate ${certificates.authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;${forward("http")}
  }`,
    );
    const client = await run(
      context,
      "near",
      near,
      `${upstream(far)}
  server {
    listen 127.0.0.1:${near} backlog=4096;${forward(
      "https",
      `proxy_ssl_certificate ${certificates.client.certificate};
      proxy_ssl_certificate_key ${certificates.client.key};
      proxy_ssl_trusted_certificate ${certificates.authority};
      proxy_ssl_verify on;
      proxy_ssl_name ${certificates.serverName};
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.3;`,
    )}
  }`,
    );
    return {
      url: `http://127.0.0.1:${near}/`,
      pids: [client.pid, server.pid],
      stop: async () => {
        await client.stop();
        await server.stop();
      },
    };
  },
};
