import { connect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";

import type { ProbeTls } from "../definition.js";
import { refuseBadAddresses, refuseBadLiteral } from "./refuse-target.js";

/** Where a probe connects, and what it says before anything else. */
export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  /** Undefined = plaintext. */
  readonly tls?: ProbeTls | undefined;
}

/** The event by which a connection to a target is ready for use. */
export function readyEvent({ tls }: SocketTarget): "connect" | "secureConnect" {
  return tls === undefined ? "connect" : "secureConnect";
}

/** Begins a connection. Throws where the address is none that is asked; what a name turns out to mean ends it as an error. */
export function openSocket({ host, port, tls }: SocketTarget, alpn: readonly string[] = []): Socket {
  refuseBadLiteral(host);
  const socket =
    tls === undefined
      ? connect({ host, port })
      : tlsConnect({
          host,
          port,
          rejectUnauthorized: !tls.skipVerify,
          ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
          ...(tls.serverName !== "" && { servername: tls.serverName }),
        });
  refuseBadAddresses(socket);
  return socket;
}

/** Why a connection failed. A host with several addresses fails with an empty message and the reasons inside. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(reasonOf).join("; ");
  return thrown instanceof Error ? thrown.message : String(thrown);
}
