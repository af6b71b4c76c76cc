import type { Disposable } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import type { Counter } from "../telemetry/metrics.js";
import { InboundAcceptor, type InboundAcceptorOptions } from "./inbound-acceptor.js";
import { INBOUND_LISTENER } from "./inbound-source.js";
import type { HttpListener } from "./outbound-listener.js";
import { listenTcp, refusals, type ListenTcp } from "./tcp-listener.js";

export interface InboundListenerOptions extends InboundAcceptorOptions {
  readonly host: string;
  readonly port: number;
  readonly dropped: Counter;
  /** Default: {@link listenTcp}. */
  readonly listen?: ListenTcp;
}

/**
 * The listener that other workloads call: mutual TLS 1.3 and, where a plaintext chain exists (permissive mode),
 * plaintext on the same port, told apart by the first byte. No session tickets: a resumed session would skip the
 * certificate check (RELIABILITY 0.1).
 */
export async function listenInbound(options: InboundListenerOptions): Promise<HttpListener & Disposable> {
  const acceptor = new InboundAcceptor(options);
  const tcp = await (options.listen ?? listenTcp)({
    name: "inbound",
    host: options.host,
    port: options.port,
    ...refusals(options.connection, "inbound", options.dropped),
    onConnection: (socket) => acceptor.accept(socket),
  });
  return {
    name: "inbound",
    tcp,
    connections: acceptor.connections,
    protocol: () => protocolsOf(options.configuration),
    learntAs: INBOUND_LISTENER,
    stopAccepting: () => {
      tcp.stopAccepting();
      acceptor.dropSilent();
    },
    [Symbol.dispose]: () => acceptor[Symbol.dispose](),
  };
}

function protocolsOf(configuration: SnapshotSource): string {
  const chains = configuration.current.inbound(INBOUND_LISTENER)?.chains ?? [];
  if (chains.some(({ applicationProtocols }) => applicationProtocols.length > 0)) return "auto";
  const protocols = (["http", "tcp"] as const).filter((protocol) =>
    chains.some((chain) => chain[protocol] !== undefined),
  );
  return protocols.join(",") || "unknown";
}
