import { createPrivateKey } from "node:crypto";

import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  status,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { MeshError, type Disposable, type ErrorKind } from "@tulle/base";
import { parseCertificates } from "@tulle/base/spiffe";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  JWTBundlesResponseSchema,
  JWTSVIDResponseSchema,
  SpiffeWorkloadAPI,
  ValidateJWTSVIDResponseSchema,
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
  type JWTSVIDRequest,
  type JWTSVIDResponse,
  type ValidateJWTSVIDRequest,
  type ValidateJWTSVIDResponse,
} from "@tulle/xds/gen/spiffe/workload_pb.js";

import type { Svid, WorkloadIdentity } from "../contract.js";
import { requestJwtSvid, validateJwtSvid } from "./jwt-svid.js";
import type { ConnectionServer, WorkloadSocketOptions } from "./workload-socket.js";

/** Streams at once for each connection. */
const MAX_STREAMS = 64;
const MAX_MESSAGE_BYTES = 64 * 1024;
/** Every call must carry this, so that a request that was forged through a browser is none (Workload Endpoint section 4). */
const SECURITY_HEADER = "workload.spiffe.io";

type Stream = ServerWritableStream<unknown, unknown>;

/** The SPIFFE Workload API for one workload: whoever reaches it is that workload. */
export function serveWorkloadApi(options: WorkloadSocketOptions): ConnectionServer {
  const { identity } = options;
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": MAX_STREAMS,
  });
  server.addService(grpcServiceDefinition(SpiffeWorkloadAPI), {
    fetchX509SVID: (call: Stream) => follow(call, identity, x509SvidOf),
    fetchX509Bundles: (call: Stream) => follow(call, identity, x509BundlesOf),
    fetchJWTBundles: (call: Stream) => follow(call, identity, jwtBundlesOf),
    fetchJWTSVID: (
      call: ServerUnaryCall<JWTSVIDRequest, JWTSVIDResponse>,
      callback: sendUnaryData<JWTSVIDResponse>,
    ) => answer(call.metadata, callback, () => fetchJwtSvid(call.request, options)),
    validateJWTSVID: (
      call: ServerUnaryCall<ValidateJWTSVIDRequest, ValidateJWTSVIDResponse>,
      callback: sendUnaryData<ValidateJWTSVIDResponse>,
    ) => answer(call.metadata, callback, () => validate(call.request, options)),
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    serve: (socket) => injector.injectConnection(socket),
    [Symbol.dispose]() {
      injector.destroy();
      server.forceShutdown();
    },
  };
}

function x509SvidOf(svid: Svid): unknown {
  return create(X509SVIDResponseSchema, {
    svids: [
      {
        spiffeId: svid.spiffeId,
        x509Svid: derOf(svid.certificateChainPem),
        x509SvidKey: createPrivateKey(svid.privateKeyPem).export({ type: "pkcs8", format: "der" }),
        bundle: derOf(svid.trustBundlePem),
      },
    ],
    federatedBundles: byId(svid.federatedBundles, derOf),
  });
}

function x509BundlesOf(svid: Svid): unknown {
  const bundles = { ...svid.federatedBundles, [trustDomainOf(svid)]: svid.trustBundlePem };
  return create(X509BundlesResponseSchema, { bundles: byId(bundles, derOf) });
}

function jwtBundlesOf(svid: Svid): unknown {
  return create(JWTBundlesResponseSchema, { bundles: byId(svid.jwtBundles, (jwks) => Buffer.from(jwks)) });
}

async function fetchJwtSvid(
  { audience, spiffeId }: JWTSVIDRequest,
  { identity, controlPlaneAddress, trustDomain, clock }: WorkloadSocketOptions,
): Promise<JWTSVIDResponse> {
  const svid = identity.current();
  if (spiffeId !== "" && spiffeId !== svid.spiffeId) {
    throw new MeshError(
      "denied",
      "AGENT_OTHER_IDENTITY",
      `this workload is ${svid.spiffeId}, not ${spiffeId}`,
    );
  }
  const token = await requestJwtSvid({ audience, svid, controlPlaneAddress, trustDomain, clock });
  return create(JWTSVIDResponseSchema, { svids: [{ spiffeId: svid.spiffeId, svid: token }] });
}

async function validate(
  { audience, svid: token }: ValidateJWTSVIDRequest,
  { identity, clock }: WorkloadSocketOptions,
): Promise<ValidateJWTSVIDResponse> {
  const { spiffeId, claims } = await validateJwtSvid(token, {
    audience,
    bundles: identity.current().jwtBundles ?? {},
    nowMs: clock.now(),
  });
  return create(ValidateJWTSVIDResponseSchema, { spiffeId, claims: claims as JsonObject });
}

/** Answers with what `read` makes of the identity, now and after every change, until the client goes. */
function follow(call: Stream, identity: WorkloadIdentity, read: (svid: Svid) => unknown): void {
  // An answer by status is an 'error' event on the call, which ends up here, too.
  call.on("error", () => undefined);
  if (!isSafe(call.metadata)) {
    call.emit("error", unsafe());
    return;
  }
  const send = (svid: Svid): void => {
    // A client that does not read gets the newest when it does.
    if (!waiting) waiting = !call.write(read(svid));
    else behind = svid;
  };
  let waiting = false;
  let behind: Svid | undefined;
  call.on("drain", () => {
    waiting = false;
    const svid = behind;
    behind = undefined;
    if (svid !== undefined) send(svid);
  });
  const rotation: Disposable = identity.onRotated(send);
  const finish = (): void => rotation[Symbol.dispose]();
  call.on("error", finish);
  call.on("cancelled", finish);
  call.on("close", finish);
  let first: Svid | undefined;
  try {
    first = identity.current();
  } catch {
    // Before the first certificate there is nothing to tell; it follows.
  }
  if (first !== undefined) send(first);
}

function answer<T>(metadata: Metadata, callback: sendUnaryData<T>, work: () => Promise<T>): void {
  if (!isSafe(metadata)) {
    callback(unsafe());
    return;
  }
  Promise.resolve()
    .then(work)
    .then(
      (value) => callback(null, value),
      (thrown: unknown) => {
        const { kind, message } = MeshError.from(thrown);
        callback({ code: STATUS[kind] ?? status.INTERNAL, details: message });
      },
    );
}

const STATUS: Readonly<Partial<Record<ErrorKind, status>>> = {
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  unauthenticated: status.PERMISSION_DENIED,
  unavailable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unimplemented: status.UNIMPLEMENTED,
};

function isSafe(metadata: Metadata): boolean {
  const values = metadata.get(SECURITY_HEADER);
  return values.length === 1 && values[0] === "true";
}

function unsafe(): { readonly code: status; readonly details: string } {
  return { code: status.INVALID_ARGUMENT, details: `the metadata ${SECURITY_HEADER}: true is missing` };
}

function derOf(pem: string): Uint8Array {
  return Buffer.concat(parseCertificates(pem).map(({ raw }) => raw));
}

/** Bundles by the SPIFFE ids of their trust domains. */
function byId(
  bundles: Readonly<Record<string, string>> | undefined,
  encode: (text: string) => Uint8Array,
): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.entries(bundles ?? {}).map(([name, text]) => [`spiffe://${name}`, encode(text)]),
  );
}

function trustDomainOf({ spiffeId }: Svid): string {
  return spiffeId.slice("spiffe://".length).split("/", 1)[0] ?? "";
}
