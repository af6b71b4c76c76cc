import type { Socket } from "node:net";

import type { InboundChain, SnapshotSource, TcpChain, WorkloadLabels } from "@tulle/engine";

import type { TcpSource } from "../tcp/contract.js";
import { INBOUND_LISTENER, selectChain } from "./inbound-source.js";
import { formatAddress } from "./tcp-listener.js";

/** A connection of the application to the listener of an upstream. */
export class OutboundTcpSource implements TcpSource {
  readonly direction = "outbound";
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId = "";
  readonly serverName = "";
  readonly peer = undefined;
  readonly #authority: string;
  readonly #configuration: SnapshotSource;

  constructor(socket: Socket, authority: string, configuration: SnapshotSource) {
    this.localAddress = formatAddress(socket.localAddress ?? "", socket.localPort ?? 0);
    this.remoteAddress = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#authority = authority;
    this.#configuration = configuration;
  }

  chain(): TcpChain | undefined | null {
    const chain = this.#configuration.current.outbound(this.#authority);
    return chain?.protocol === "http" ? null : chain;
  }
}

export interface InboundTcpSourceOptions {
  readonly socket: Socket;
  readonly transport: "mtls" | "plaintext";
  readonly serverName: string;
  readonly peerSpiffeId: string;
  readonly configuration: SnapshotSource;
}

/** A connection of another workload. */
export class InboundTcpSource implements TcpSource {
  readonly direction = "inbound";
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly serverName: string;
  readonly peer: WorkloadLabels | undefined;
  readonly #options: InboundTcpSourceOptions;

  constructor(options: InboundTcpSourceOptions) {
    const { socket, peerSpiffeId } = options;
    this.#options = options;
    this.localAddress = formatAddress(socket.localAddress ?? "", socket.localPort ?? 0);
    this.remoteAddress = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.peerSpiffeId = peerSpiffeId;
    this.serverName = options.serverName;
    this.peer = workloadOf(peerSpiffeId);
  }

  chain(): TcpChain | undefined | null {
    const chain = this.#select();
    return chain === undefined ? undefined : (chain?.tcp ?? null);
  }

  /** Whether such a connection would still be let in, whatever it carries: false after a change to strict, for plaintext. */
  get admitted(): boolean {
    return this.#select() !== null;
  }

  /** Undefined before there is configuration, null when no chain takes it. */
  #select(): InboundChain | undefined | null {
    const { configuration, transport, serverName } = this.#options;
    const snapshot = configuration.current;
    if (snapshot.inbound(INBOUND_LISTENER) === undefined) return undefined;
    return selectChain(snapshot, transport, serverName) ?? null;
  }
}

/** All that is known of a client that sends no headers: what its certificate says. */
function workloadOf(spiffeId: string): WorkloadLabels | undefined {
  const match = /\/ns\/([^/]+)\/sa\//.exec(spiffeId);
  if (match?.[1] === undefined) return undefined;
  return {
    workload: "unknown",
    namespace: match[1],
    canonicalName: "unknown",
    canonicalRevision: "latest",
  };
}
