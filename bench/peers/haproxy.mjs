import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { installedVersion } from "../harness/program.mjs";
import { freePort, listening, start } from "../harness/spawned.mjs";

function version() {
  const found = installedVersion("haproxy", ["-v"], /version ([\d.]+)/);
  return found === undefined
    ? { missing: "HAProxy is not installed (scripts/peers.sh)" }
    : { version: found };
}

/** One thread, no log, idle connections to servers shared between clients. */
const configuration = (bind, server) => `
global
  nbthread 1
  maxconn 8192
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option http-keep-alive
  http-reuse always
frontend near
  bind ${bind}
  default_backend next
backend next
  server next ${server}
`;

async function run(context, name, port, text) {
  const file = join(context.directory, `haproxy-${name}.cfg`);
  writeFileSync(file, text);
  const log = join(context.directory, `haproxy-${name}.log`);
  const handle = start("haproxy", ["-db", "-f", file], { cpu: context.proxyCpu, log });
  await listening(port, handle);
  return handle;
}

export const haproxyOneHop = {
  name: "HAProxy",
  scenario: "one hop, HTTP/1.1",
  version,
  start: async (context) => {
    const port = await freePort();
    const text = configuration(`127.0.0.1:${port}`, `127.0.0.1:${context.originPort}`);
    const handle = await run(context, "hop", port, text);
    return { url: `http://127.0.0.1:${port}/`, pids: [handle.pid], stop: handle.stop };
  },
};

/** `alpn`: what the two speak between them, `http/1.1` or `h2`. */
const pair = (name, alpn) => ({
  name,
  scenario: "sidecar pair, mutual TLS 1.3",
  version,
  start: async (context) => {
    const { authority, client, server, serverName } = context.certificates;
    const [near, far] = [await freePort(), await freePort()];
    const id = alpn.replace("/", "-");
    const farBind = `127.0.0.1:${far} ssl crt ${server.bundle} ca-file ${authority} verify required alpn ${alpn}`;
    const farSide = await run(
      context,
      `far-${id}`,
      far,
      configuration(farBind, `127.0.0.1:${context.originPort}`),
    );
    const toFar = `127.0.0.1:${far} ssl crt ${client.bundle} ca-file ${authority} verify required sni str(${serverName}) alpn ${alpn}`;
    const nearSide = await run(context, `near-${id}`, near, configuration(`127.0.0.1:${near}`, toFar));
    return {
      url: `http://127.0.0.1:${near}/`,
      pids: [nearSide.pid, farSide.pid],
      stop: async () => {
        await nearSide.stop();
        await farSide.stop();
      },
    };
  },
});

export const haproxyPairHttp1 = pair("HAProxy, HTTP/1.1 between", "http/1.1");
export const haproxyPairHttp2 = pair("HAProxy, HTTP/2 between", "h2");
