import type { Translation } from "../translation.js";
import { k8sServers } from "../gateway-api/gateway-servers.js";
import { istioServers } from "./istio-servers.js";
import { placeOfServer, serverNamesOf, type Server } from "./server.js";

/** A port that a gateway opens. */
export interface ServedPort {
  readonly number: number;
  /** Undefined = every address. */
  readonly bind: string | undefined;
  /** At least one; told apart by Host or server name. */
  readonly servers: readonly Server[];
}

/** One translation asks for them several times. */
const made = new WeakMap<Translation, readonly ServedPort[]>();

/**
 * The ports that this gateway opens, by number. Of servers that cannot share a port the first holds, which is the oldest
 * object's; the others are left out with a warning.
 */
export function servedPorts(t: Translation): readonly ServedPort[] {
  let ports = made.get(t);
  if (ports === undefined) {
    ports = t.view.gateway === undefined ? [] : share(t, [...istioServers(t), ...k8sServers(t)]);
    made.set(t, ports);
  }
  return ports;
}

/** Which servers open which ports. */
export function share(t: Translation, servers: readonly Server[]): readonly ServedPort[] {
  const ports = new Map<number, ServedPort & { servers: Server[] }>();
  for (const server of servers) {
    t.own(server.owner);
    const port = ports.get(server.port);
    if (port === undefined) {
      ports.set(server.port, { number: server.port, bind: server.bind, servers: [server] });
      continue;
    }
    const joining = joiningPart(t, port, server);
    if (joining !== undefined) port.servers.push(joining);
  }
  return [...ports.values()].sort((a, b) => a.number - b.number);
}

/** What of a server may join a port that others opened. */
function joiningPart(t: Translation, port: ServedPort, server: Server): Server | undefined {
  const [first] = port.servers;
  if (first === undefined) return server;
  const refuse = (why: string): undefined => {
    t.warnOf(
      "IST0145",
      `${placeOfServer(server)} is left out: ${why} ${placeOfServer(first)}, which is older, on port ${server.port}`,
    );
    return undefined;
  };
  if (server.bind !== port.bind) return refuse("it binds another address than");
  if (byHost(first) !== byHost(server)) return refuse("its connections cannot be told from those of");
  if (!usesServerNames(server))
    return byHost(server) ? server : refuse("a port for bytes has one server, that of");
  // Of a host that two servers name the first has the connections.
  // Names by which sidecars call are nobody else's.
  const rivals = port.servers.filter(({ kind }) => (kind === "auto") === (server.kind === "auto"));
  const taken = new Set(rivals.flatMap((other) => namesOrAny(other)));
  const hosts = server.hosts.filter(({ host }) => !taken.has(host));
  if (hosts.length === 0) return refuse("all of its hosts are served by");
  if (hosts.length < server.hosts.length) {
    const lost = server.hosts.filter(({ host }) => taken.has(host)).map(({ host }) => host);
    t.warnOf(
      "IST0145",
      `${placeOfServer(server)}: ${lost.join(", ")} on port ${server.port} belongs to an older server`,
    );
  }
  return { ...server, hosts };
}

/** Whether requests are told apart after the connection was taken. */
function byHost({ kind }: Server): boolean {
  return kind === "http";
}

function usesServerNames({ kind }: Server): boolean {
  return kind === "https" || kind === "passthrough" || kind === "auto" || kind === "tls";
}

function namesOrAny(server: Server): readonly string[] {
  const names = serverNamesOf(server);
  return names.length === 0 ? ["*"] : names;
}
