import type { GatewayServer, GatewaySpec, MeshObject } from "@tulle/api";
import { GATEWAY } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge, selects } from "../visibility.js";
import type { Server, ServerKind } from "./server.js";

/** The servers of Istio's Gateways that select this client, the oldest object's first. */
export function istioServers(t: Translation): readonly Server[] {
  return [...t.objects<GatewaySpec>(GATEWAY)]
    .filter(({ spec }) => selects(spec.selector, t.view.labels))
    .sort(byAge)
    .flatMap((owner) => owner.spec.servers.map((server, index) => serverOf(owner, server, index)));
}

function serverOf(owner: MeshObject<GatewaySpec>, server: GatewayServer, index: number): Server {
  const { port, bind, hosts, tls } = server;
  const field = `spec.servers[${index}]`;
  const kind = kindOf(server);
  const { namespace, name } = owner.metadata;
  return {
    owner,
    field,
    kind,
    port: port.number,
    bind,
    hosts: hosts.map((written) => servedHost(written, namespace)),
    routes:
      kind === "http" ? `http.${port.number}` : `https.${port.number}.${port.name}.${name}.${namespace}`,
    grpcWeb: port.protocol.toUpperCase() === "GRPC-WEB",
    redirects: tls?.httpsRedirect === true,
    tls: kind === "https" || kind === "tls" ? tls : undefined,
  };
}

function kindOf({ port, tls }: GatewayServer): ServerKind {
  switch (port.protocol.toUpperCase()) {
    case "HTTPS":
      return tls?.mode === "PASSTHROUGH" ? "passthrough" : "https";
    case "TLS":
      if (tls?.mode === "AUTO_PASSTHROUGH") return "auto";
      return tls?.mode === "PASSTHROUGH" ? "passthrough" : "tls";
    case "TCP":
    case "MONGO":
      return tls === undefined ? "tcp" : "tls";
    default:
      return "http";
  }
}

/** A host as written, with or without a namespace. */
function servedHost(written: string, own: string): Server["hosts"][number] {
  const slash = written.indexOf("/");
  const namespace = slash < 0 ? "*" : written.slice(0, slash);
  return {
    namespace: namespace === "*" ? undefined : namespace === "." ? own : namespace,
    host: written.slice(slash + 1).toLowerCase(),
  };
}
