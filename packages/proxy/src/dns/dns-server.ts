import { MeshError, systemErrorCode, type Disposable, type Logger } from "@tulle/base";
import { failureAnswer, parseQuery, RCODE } from "@tulle/dns";
import { startDnsServer } from "@tulle/dns/server";

import type { ListenAddress } from "../options.js";
import type { Resolver } from "./resolver.js";

export interface DnsListener extends Disposable {
  readonly address: ListenAddress;
  /** What it listens by, by name; empty where that cannot be told. */
  readonly sockets: ReadonlyMap<string, object>;
}

export interface DnsListenerOptions {
  readonly host: string;
  /** UDP and TCP; 0 picks one that is free for both. */
  readonly port: number;
  readonly resolve: Resolver;
  /** Whether the client at this port is the sidecar itself: it is refused. */
  readonly isOwn: (port: number) => boolean;
  readonly logger: Logger;
  /** What a predecessor listened by, by name. */
  readonly inherited?: ReadonlyMap<string, object> | undefined;
}

/** Listens for the application's DNS queries, UDP and TCP. Rejects with `PROXY_LISTEN_FAILED`. */
export async function listenDns(options: DnsListenerOptions): Promise<DnsListener> {
  const { host, resolve, isOwn, logger, inherited } = options;
  const names = { udp: `dns ${host} udp`, tcp: `dns ${host} tcp` };
  const [udp, tcp] = [inherited?.get(names.udp), inherited?.get(names.tcp)];
  try {
    const server = await startDnsServer({
      address: host,
      port: options.port,
      answer: (query, transport, peerPort) => (isOwn(peerPort) ? refuse(query) : resolve(query, transport)),
      logger,
      ...(udp && tcp && { inherited: { udp, tcp } }),
    });
    return {
      address: { host, port: server.port },
      get sockets() {
        const { handles } = server;
        return new Map(
          handles === undefined
            ? []
            : [
                [names.udp, handles.udp],
                [names.tcp, handles.tcp],
              ],
        );
      },
      [Symbol.dispose]: () => void server.close(),
    };
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? "unknown";
    const message = `the dns listener cannot listen on ${host}:${options.port} (${code}); choose another --dns-port or stop what uses it`;
    throw new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause: thrown });
  }
}

/** Ends a circle at its first turn: whoever asked on our behalf is told REFUSED. */
function refuse(message: Buffer): Buffer | undefined {
  const parsed = parseQuery(message);
  return parsed.outcome === "query" ? failureAnswer(parsed.query, RCODE.REFUSED) : undefined;
}
