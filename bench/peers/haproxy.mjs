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
const configuration = (bind, backends, rules = "  default_backend next") => `
global
  nbthread 1
  maxconn 16384
  no strict-limits
  tune.ssl.default-dh-param 2048
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
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
${rules}
${backends}
`;

const backend = (server) => `backend next\n  server next ${server}`;

async function run(context, name, port, text) {
  const file = join(context.directory, `haproxy-${name}-${port}.cfg`);
  writeFileSync(file, text);
  const log = join(context.directory, `haproxy-${name}.log`);
  const handle = start("haproxy", ["-db", "-f", file], { cpu: context.proxyCpu, log });
  await listening(port, handle);
  return handle;
}

const one = (handle, port) => ({ port, pids: [handle.pid], stop: handle.stop });

export const haproxyHop = {
  name: "HAProxy",
  version,
  start: async (context, app) => {
    const port = await freePort();
    const text = configuration(`127.0.0.1:${port}`, backend(`127.0.0.1:${app.port}`));
    return one(await run(context, "hop", port, text), port);
  },
};

const NO_RULES = { near: "", far: "" };

/**
 * What a sidecar does for a request besides passing it on, as far as HAProxy can be told to: a request id, who called and
 * how long it took as headers, what only sidecars may say taken from clients, the caller's certificate checked against
 * one rule and told to the application, requests counted by who calls whom. A hash of the certificate is taken once a connection.
 */
const SIDECAR_RULES = {
  near: `
  unique-id-format %[uuid()]
  http-request set-var(txn.began) date(0,ms)
  http-request del-header x-forwarded-client-cert
  http-request set-header x-request-id %[unique-id] unless { req.hdr(x-request-id) -m found }
  http-request set-header x-forwarded-proto http
  http-request set-header x-envoy-attempt-count 1
  http-request set-header x-envoy-peer-metadata bG9hZDtkZWZhdWx0O2xvYWQ7
  http-request track-sc0 req.hdr(host) table calls
  http-response set-header x-envoy-upstream-service-time %[date(0,ms),sub(txn.began)]
  default_backend next
backend calls
  stick-table type string len 64 size 1k store http_req_cnt,http_err_cnt,http_fail_cnt`,
  far: `
  http-request deny unless { ssl_c_s_dn(cn) -m str client }
  http-request set-var(sess.hash) ssl_c_der,sha2(256),hex,lower unless { var(sess.hash) -m found }
  http-request set-header x-forwarded-client-cert By=spiffe://cluster.local/ns/default/sa/origin;Hash=%[var(sess.hash)];Subject=%[ssl_c_s_dn];URI=spiffe://cluster.local/ns/default/sa/%[ssl_c_s_dn(cn)]
  http-request del-header x-envoy-peer-metadata
  http-request track-sc0 ssl_c_s_dn(cn) table callers
  default_backend next
backend callers
  stick-table type string len 64 size 1k store http_req_cnt,http_err_cnt,http_fail_cnt`,
};

/** The caller's half of that. */
export const haproxySidecarHop = {
  name: "HAProxy as a sidecar",
  version,
  start: async (context, app) => {
    const port = await freePort();
    const text = configuration(`127.0.0.1:${port}`, backend(`127.0.0.1:${app.port}`), SIDECAR_RULES.near);
    return one(await run(context, "sidecar-hop", port, text), port);
  },
};

/** `alpn`: what the two speak between them, `http/1.1` or `h2`. */
const pair = (name, alpn, rules = NO_RULES) => ({
  name,
  version,
  start: async (context, app) => {
    const { authority, client, server, serverName } = context.certificates();
    const [near, far] = [await freePort(), await freePort()];
    const plain = app.protocol === "h2c" ? " proto h2" : "";
    const farBind = `127.0.0.1:${far} ssl crt ${server.bundle} ca-file ${authority} verify required alpn ${alpn}`;
    const farSide = await run(
      context,
      "far",
      far,
      configuration(farBind, backend(`127.0.0.1:${app.port}${plain}`), rules.far || undefined),
    );
    const toFar = `127.0.0.1:${far} ssl crt ${client.bundle} ca-file ${authority} verify required sni str(${serverName}) alpn ${alpn}`;
    const nearSide = await run(
      context,
      "near",
      near,
      configuration(`127.0.0.1:${near}${plain}`, backend(toFar), rules.near || undefined),
    );
    return {
      port: near,
      pids: [nearSide.pid, farSide.pid],
      far: { port: far, pids: [farSide.pid], identity: context.clientIdentity() },
      stop: async () => {
        await nearSide.stop();
        await farSide.stop();
      },
    };
  },
});

export const haproxyPairHttp1 = pair("HAProxy, HTTP/1.1 between", "http/1.1");
export const haproxyPairHttp2 = pair("HAProxy, HTTP/2 between", "h2");
/** The same work: the others above pass requests on, and nothing else. */
export const haproxySidecars = pair("HAProxy as sidecars, HTTP/2 between", "h2", SIDECAR_RULES);

/** A proxy of many services: a backend each, chosen by the Host header. `services`: see `scenarios/memory.mjs`. */
export const haproxyServices = {
  name: "HAProxy",
  version,
  start: async (context, services) => {
    const port = await freePort();
    const backends = services.map(
      ({ name, endpoints }) =>
        `backend ${name}\n${endpoints.map(({ address, port: to }, i) => `  server s${i} ${address}:${to}`).join("\n")}`,
    );
    const text = configuration(
      `127.0.0.1:${port}`,
      backends.join("\n"),
      "  use_backend %[req.hdr(host),field(1,:)]",
    );
    return one(await run(context, "services", port, text), port);
  },
};
