import { isIP } from "node:net";

import * as grpc from "@grpc/grpc-js";
import { formatAddress, MeshError, systemErrorCode, type Clock } from "@tulle/base";

import { OptionalMtlsCredentials, type ServerCertificateProvider } from "./server-credentials.js";

/** A service with its handlers, as `grpc.Server.addService` takes them. */
export interface GrpcService {
  /** From `grpcServiceDefinition` of `@tulle/xds`. */
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  /** IP address to listen on. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** TLS with optional client certificates. Undefined: plaintext, which is refused beyond loopback. */
  readonly certificates: ServerCertificateProvider | undefined;
  readonly services: readonly GrpcService[];
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

const CHANNEL_OPTIONS: grpc.ServerOptions = {
  "grpc.max_receive_message_length": MAX_GRPC_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_GRPC_MESSAGE_BYTES,
  // A peer that vanished without a FIN is found within 40 s.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Connections without a call: probes that connect and stay would pile up otherwise.
  "grpc.max_connection_idle_ms": 300_000,
  "grpc.max_concurrent_streams": 1024,
};

/**
 * Starts a gRPC server. Errors: `invalid` CONTROL_GRPC_PLAINTEXT for plaintext beyond loopback, `unavailable`
 * CONTROL_GRPC_LISTEN when the address cannot be bound.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { address, certificates, clock } = options;
  if (certificates === undefined && !isLoopback(address)) {
    throw new MeshError(
      "invalid",
      "CONTROL_GRPC_PLAINTEXT",
      `refusing plaintext gRPC on ${address}: bind it to 127.0.0.1 or use the TLS port`,
    );
  }
  const server = new grpc.Server(CHANNEL_OPTIONS);
  for (const service of options.services) server.addService(service.definition, service.implementation);
  const tls = certificates === undefined ? undefined : new OptionalMtlsCredentials(certificates);
  const authority = formatAddress(address, options.port);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(authority, tls ?? grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(listenError(authority, error));
    });
  }).catch((thrown: unknown) => {
    tls?.[Symbol.dispose]();
    server.forceShutdown();
    throw thrown;
  });

  let closing: Promise<void> | undefined;
  return {
    port,
    close(graceMs = 1000) {
      closing ??= shutDown(server, clock, graceMs).finally(() => tls?.[Symbol.dispose]());
      return closing;
    },
  };
}

function shutDown(server: grpc.Server, clock: Clock, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = clock.setTimeout(() => server.forceShutdown(), graceMs);
    // Also called once a forced shutdown has cut the last call.
    server.tryShutdown(() => {
      force[Symbol.dispose]();
      resolve();
    });
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

function listenError(authority: string, error: Error): MeshError {
  const inUse = systemErrorCode(error) === "EADDRINUSE" || error.message.includes("EADDRINUSE");
  return new MeshError(
    "unavailable",
    "CONTROL_GRPC_LISTEN",
    inUse
      ? `cannot listen on ${authority}: another program uses that port; choose another with --xds-port, or 0 for any`
      : `cannot listen on ${authority}: ${error.message}`,
    { cause: error },
  );
}
