import { rm } from "node:fs/promises";

import {
  Server,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import type { Disposable } from "@tulle/base";
import { secretDiscoveryService } from "@tulle/xds";
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import { AdsRelay, currentOf, rawAds, type AdsRelayOptions, type RawServerStream } from "./ads-relay.js";
import type { WorkloadIdentity } from "./contract.js";
import { MAX_GRPC_MESSAGE_BYTES } from "./control-plane.js";
import { secretResponse, SecretSubscription } from "./secret-discovery.js";
import { listenOnUnixSocket } from "./unix-socket.js";

export interface RelayOptions extends AdsRelayOptions {
  /** Path of the Unix socket, at most 90 bytes; only its owner may use it (0600). */
  readonly socketPath: string;
}

export interface Relay {
  readonly socketPath: string;
  /** Ends all streams and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves xDS on a Unix socket to clients that cannot prove who they are themselves (proxyless gRPC, a stock Envoy): ADS
 * streams go to the control plane over mutual TLS as the workload, byte for byte but for the node of the first
 * message; secrets (`default`, `ROOTCA`) are answered here, so that the key stays on this machine. Errors: `invalid`
 * AGENT_SOCKET_PATH, `already-exists` AGENT_SOCKET_IN_USE.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { socketPath, identity } = options;
  const relay = new AdsRelay(options);
  const server = new Server({
    "grpc.max_receive_message_length": MAX_GRPC_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_GRPC_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": 256,
  });
  server.addService(rawAds, {
    streamAggregatedResources: (call: RawServerStream) => relay.carry(call, "sotw"),
    deltaAggregatedResources: (call: RawServerStream) => relay.carry(call, "delta"),
  });
  server.addService(secretDiscoveryService, {
    streamSecrets: (call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) =>
      streamSecrets(call, identity),
    fetchSecrets: (
      call: ServerUnaryCall<DiscoveryRequest, DiscoveryResponse>,
      callback: sendUnaryData<DiscoveryResponse>,
    ) => fetchSecrets(call, callback, identity),
  });
  try {
    await listenOnUnixSocket(server, socketPath);
  } catch (thrown) {
    server.forceShutdown();
    throw thrown;
  }
  let closing: Promise<void> | undefined;
  return {
    socketPath,
    close() {
      closing ??= shutDown(server).then(() => rm(socketPath, { force: true }));
      return closing;
    },
  };
}

function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve());
    // Streams of configuration never end by themselves.
    server.forceShutdown();
  });
}

function streamSecrets(
  call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>,
  identity: WorkloadIdentity,
): void {
  const subscription = new SecretSubscription();
  const send = (response: DiscoveryResponse | undefined): void => {
    if (response !== undefined) call.write(response);
  };
  const rotation: Disposable = identity.onRotated((svid) => send(subscription.rotated(svid)));
  const finish = (): void => rotation[Symbol.dispose]();
  call.on("data", (request: DiscoveryRequest) => send(subscription.request(request, currentOf(identity))));
  call.on("error", finish);
  call.on("cancelled", finish);
  call.on("end", () => {
    finish();
    call.end();
  });
}

function fetchSecrets(
  call: ServerUnaryCall<DiscoveryRequest, DiscoveryResponse>,
  callback: sendUnaryData<DiscoveryResponse>,
  identity: WorkloadIdentity,
): void {
  const svid = currentOf(identity);
  if (svid === undefined) {
    callback({ code: status.UNAVAILABLE, details: "the workload has no certificate yet; try again" });
    return;
  }
  callback(null, secretResponse(svid, call.request.resourceNames, "1"));
}
