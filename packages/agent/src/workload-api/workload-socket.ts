import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";

import type { Clock, Disposable, Logger } from "@tulle/base";

import type { WorkloadIdentity } from "../contract.js";
import { listenOnUnixSocket } from "../unix-socket.js";

/** Variable by which SPIFFE libraries find the socket (SPIFFE Workload Endpoint section 4). */
export const SPIFFE_ENDPOINT_SOCKET = "SPIFFE_ENDPOINT_SOCKET";

/** Connections at once, at most. */
const MAX_CONNECTIONS = 64;

export interface WorkloadSocketOptions {
  /** Path of the Unix socket, at most 90 bytes; only its owner may use it (0600). */
  readonly socketPath: string;
  readonly identity: WorkloadIdentity;
  readonly trustDomain: string;
  /** `host:port` of the control plane's TLS port, for JWT-SVIDs. */
  readonly controlPlaneAddress: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WorkloadSocket {
  /** As {@link SPIFFE_ENDPOINT_SOCKET} has it. */
  readonly url: string;
  /** Ends all calls and removes the socket. */
  close(): Promise<void>;
}

/** Serves connections that somebody else has accepted. */
export interface ConnectionServer extends Disposable {
  serve(socket: Socket): void;
}

/**
 * The SPIFFE Workload API on a Unix socket: whoever may open it gets the workload's identity. The gRPC server behind it is
 * loaded with the first connection, so that workloads that do not use it do not pay for it. Errors: those of
 * `listenOnUnixSocket`.
 */
export async function openWorkloadSocket(options: WorkloadSocketOptions): Promise<WorkloadSocket> {
  const { socketPath, logger } = options;
  let api: Promise<ConnectionServer> | undefined;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    api ??= import("./spiffe-workload-api.js").then(({ serveWorkloadApi }) => serveWorkloadApi(options));
    api.then(
      (loaded) => loaded.serve(socket),
      (thrown: unknown) => {
        logger.error("the Workload API does not start", { error: thrown });
        socket.destroy();
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("error", (error) => logger.error("the Workload API's socket failed", { error }));
  await listenOnUnixSocket(
    (path) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(path, () => {
          server.removeListener("error", reject);
          resolve();
        });
      }),
    socketPath,
  );
  server.unref();
  let closing: Promise<void> | undefined;
  return {
    url: `unix://${socketPath}`,
    close() {
      closing ??= (async () => {
        server.close();
        (await api?.catch(() => undefined))?.[Symbol.dispose]();
        await rm(socketPath, { force: true });
      })();
      return closing;
    },
  };
}
