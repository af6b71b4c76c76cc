import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";

import { MeshError, type Disposable } from "@tulle/base";
import {
  GrpcServer,
  streamingMethod,
  unaryMethod,
  type GrpcServerCall,
  type GrpcServerHandler,
  type GrpcServerMethod,
} from "@tulle/http/socket";
import { secretDiscoveryService } from "@tulle/xds";
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import { AdsRelay, currentOf, rawAds, type AdsRelayOptions, type RawServerCall } from "./ads-relay.js";
import type { Svid, WorkloadIdentity } from "./contract.js";
import { MAX_GRPC_MESSAGE_BYTES } from "./control-plane.js";
import { failureOf } from "./grpc-failure.js";
import { secretResponse, SecretSubscription } from "./secret-discovery.js";
import { listenOnUnixSocket } from "./unix-socket.js";

/** Connections at once, and calls on each of them. */
const MAX_CONNECTIONS = 256;
const MAX_STREAMS = 256;

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
  const { socketPath, identity, clock } = options;
  const relay = new AdsRelay(options);
  const calls = new GrpcServer({
    clock,
    maxMessageBytes: MAX_GRPC_MESSAGE_BYTES,
    maxStreams: MAX_STREAMS,
    methods: [
      streamingMethod(rawAds.streamAggregatedResources, (call: RawServerCall) => relay.carry(call, "sotw")),
      streamingMethod(rawAds.deltaAggregatedResources, (call: RawServerCall) => relay.carry(call, "delta")),
      ...secretMethods(identity),
    ],
  });
  const server = createServer((socket) => calls.serve(socket, { address: "", certificateDer: undefined }));
  server.maxConnections = MAX_CONNECTIONS;
  const stop = async (): Promise<void> => {
    server.close();
    // Streams of configuration never end by themselves.
    await calls.close(0);
  };
  try {
    await listenOnUnixSocket((path) => bind(server, path), socketPath);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  let closing: Promise<void> | undefined;
  return {
    socketPath,
    close() {
      closing ??= stop().then(() => rm(socketPath, { force: true }));
      return closing;
    },
  };
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      // Of a single connection that could not be taken.
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function secretMethods(identity: WorkloadIdentity): readonly GrpcServerMethod[] {
  const { streamSecrets, fetchSecrets } = secretDiscoveryService;
  return [
    streamingMethod(streamSecrets, (call: GrpcServerCall<DiscoveryResponse>) => streamOf(call, identity)),
    unaryMethod(
      fetchSecrets,
      async (request): Promise<DiscoveryResponse> =>
        secretResponse(svidOf(identity), request.resourceNames, "1"),
      failureOf,
    ),
  ];
}

function streamOf(
  call: GrpcServerCall<DiscoveryResponse>,
  identity: WorkloadIdentity,
): GrpcServerHandler<DiscoveryRequest> {
  const subscription = new SecretSubscription();
  const send = (response: DiscoveryResponse | undefined): void => {
    if (response !== undefined) call.write(response);
  };
  const rotation: Disposable = identity.onRotated((svid) => send(subscription.rotated(svid)));
  return {
    onMessage: (request) => send(subscription.request(request, currentOf(identity))),
    onEnd() {
      rotation[Symbol.dispose]();
      call.end();
    },
    onTaken: () => undefined,
    onGone: () => rotation[Symbol.dispose](),
  };
}

function svidOf(identity: WorkloadIdentity): Svid {
  const svid = currentOf(identity);
  if (svid !== undefined) return svid;
  throw new MeshError("unavailable", "AGENT_NO_IDENTITY", "the workload has no certificate yet; try again");
}
