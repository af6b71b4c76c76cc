import { createServer, isIP, type AddressInfo, type Server } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";

import { formatAddress, MeshError, systemErrorCode, type Clock, type Disposable } from "@tulle/base";
import { GrpcServer as CallServer, type GrpcPeer, type GrpcServerMethod } from "@tulle/http/socket";

import { tlsServerOptions, type ServerCertificateProvider } from "./server-credentials.js";

export interface GrpcServerOptions {
  /** IP address to listen on. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** TLS with optional client certificates. Undefined: plaintext, which is refused beyond loopback. */
  readonly certificates: ServerCertificateProvider | undefined;
  readonly methods: readonly GrpcServerMethod[];
  readonly clock: Clock;
}

export interface GrpcServer {
  /** The port that is bound. */
  readonly port: number;
  /**
   * Stops taking connections, lets calls finish for `graceMs` (default 1000), then cuts what is left: streams of
   * configuration never end by themselves.
   */
  close(graceMs?: number): Promise<void>;
}

/** Largest message in either direction, bytes. */
export const MAX_GRPC_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Connections at once. A sidecar has three, for a moment: configuration, its agent stream, its certificate. */
const MAX_CONNECTIONS = 40_000;

/**
 * Starts a gRPC server. Errors: `invalid` CONTROL_GRPC_PLAINTEXT for plaintext beyond loopback, `unavailable`
 * CONTROL_GRPC_LISTEN when the address cannot be bound.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { address, certificates, methods, clock } = options;
  if (certificates === undefined && !isLoopback(address)) {
    throw new MeshError(
      "invalid",
      "CONTROL_GRPC_PLAINTEXT",
      `refusing plaintext gRPC on ${address}: bind it to 127.0.0.1 or use the TLS port`,
    );
  }
  const calls = new CallServer({ methods, clock, maxMessageBytes: MAX_GRPC_MESSAGE_BYTES });
  const { server, subscription } =
    certificates === undefined ? plaintextServer(calls) : tlsServer(certificates, calls);
  server.maxConnections = MAX_CONNECTIONS;
  const stop = async (graceMs: number): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await calls.close(graceMs);
    subscription?.[Symbol.dispose]();
    await closed;
  };
  try {
    await listen(server, address, options.port);
  } catch (thrown) {
    await stop(0);
    throw thrown;
  }
  let closing: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close(graceMs = 1000) {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}

interface Listener {
  readonly server: Server;
  readonly subscription?: Disposable;
}

function plaintextServer(calls: CallServer): Listener {
  return {
    server: createServer((socket) => {
      calls.serve(socket, {
        address: formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0),
        certificateDer: undefined,
      });
    }),
  };
}

/** A new certificate is used for connections made from then on; existing ones live on. */
function tlsServer(certificates: ServerCertificateProvider, calls: CallServer): Listener {
  const server = createTlsServer(tlsServerOptions(certificates.current()));
  server.on("secureConnection", (socket) => {
    if (socket.alpnProtocol === "h2") calls.serve(socket, new TlsPeer(socket));
    else socket.destroy();
  });
  // Probes, and clients of other roots: nothing that an operator could do something about.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const subscription = certificates.onRotated(() =>
    server.setSecureContext(tlsServerOptions(certificates.current())),
  );
  return { server, subscription };
}

class TlsPeer implements GrpcPeer {
  readonly address: string;
  readonly certificateDer: Uint8Array | undefined;

  constructor(socket: TLSSocket) {
    this.address = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    // Without one it has no fields at all, whatever its type says.
    const { raw } = socket.getPeerCertificate() as { readonly raw?: Uint8Array };
    this.certificateDer = socket.authorized ? raw : undefined;
  }
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenError(formatAddress(address, port), error)));
    server.listen(port, address, () => {
      // Of a single connection that could not be taken.
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

function listenError(authority: string, error: Error): MeshError {
  return new MeshError(
    "unavailable",
    "CONTROL_GRPC_LISTEN",
    systemErrorCode(error) === "EADDRINUSE"
      ? `cannot listen on ${authority}: another program uses that port; choose another with --xds-port, or 0 for any`
      : `cannot listen on ${authority}: ${error.message}`,
    { cause: error },
  );
}
