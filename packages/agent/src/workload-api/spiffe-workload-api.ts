import { createPrivateKey } from "node:crypto";

import { create, type JsonObject } from "@bufbuild/protobuf";
import { MeshError, type Disposable } from "@tulle/base";
import { derOfPem, parseCertificates, splitRevocationLists } from "@tulle/base/spiffe";
import { GrpcStatus, joinHeader, type HeaderList } from "@tulle/http";
import {
  GrpcServer,
  streamingMethod,
  unaryMethod,
  type GrpcCallInfo,
  type GrpcFailure,
  type GrpcServerCall,
  type GrpcServerCodec,
  type GrpcServerHandler,
  type GrpcServerMethod,
} from "@tulle/http/socket";
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
  type JWTBundlesResponse,
  type X509BundlesResponse,
  type X509SVIDResponse,
} from "@tulle/xds/gen/spiffe/workload_pb.js";

import type { Svid, WorkloadIdentity } from "../contract.js";
import { failureOf } from "../grpc-failure.js";
import { requestJwtSvid, validateJwtSvid } from "./jwt-svid.js";
import type { ConnectionServer, WorkloadSocketOptions } from "./workload-socket.js";

/** Streams at once for each connection. */
const MAX_STREAMS = 64;
/** In either direction: revocation lists may be long. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
/** Every call must carry this, so that a request that was forged through a browser is none (Workload Endpoint section 4). */
const SECURITY_HEADER = "workload.spiffe.io";

/** The SPIFFE Workload API for one workload: whoever reaches it is that workload. */
export function serveWorkloadApi(options: WorkloadSocketOptions): ConnectionServer {
  const { identity, clock } = options;
  const api = grpcServiceDefinition(SpiffeWorkloadAPI);
  const server = new GrpcServer({
    clock,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxStreams: MAX_STREAMS,
    methods: [
      following(api.fetchX509SVID, identity, x509SvidOf),
      following(api.fetchX509Bundles, identity, x509BundlesOf),
      following(api.fetchJWTBundles, identity, jwtBundlesOf),
      answering(api.fetchJWTSVID, (request: JWTSVIDRequest) => fetchJwtSvid(request, options)),
      answering(api.validateJWTSVID, (request: ValidateJWTSVIDRequest) => validate(request, options)),
    ],
  });
  return {
    serve: (socket) => server.serve(socket, { address: "", certificateDer: undefined }),
    [Symbol.dispose]: () => void server.close(0),
  };
}

function x509SvidOf(svid: Svid): X509SVIDResponse {
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
    crl: listsOf(svid),
  });
}

/** Revocation lists, each in DER. */
function listsOf({ revocationListsPem = "" }: Svid): Buffer[] {
  return splitRevocationLists(revocationListsPem).map(derOfPem);
}

function x509BundlesOf(svid: Svid): X509BundlesResponse {
  const bundles = { ...svid.federatedBundles, [trustDomainOf(svid)]: svid.trustBundlePem };
  return create(X509BundlesResponseSchema, { bundles: byId(bundles, derOf), crl: listsOf(svid) });
}

function jwtBundlesOf(svid: Svid): JWTBundlesResponse {
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

/** A method that answers with what `read` makes of the identity, now and after every change, until the client goes. */
function following<Request, Response>(
  codec: GrpcServerCodec<Request, Response>,
  identity: WorkloadIdentity,
  read: (svid: Svid) => Response,
): GrpcServerMethod {
  return streamingMethod(codec, (call) => follow(call, identity, read));
}

function follow<Response>(
  call: GrpcServerCall<Response>,
  identity: WorkloadIdentity,
  read: (svid: Svid) => Response,
): GrpcServerHandler<unknown> {
  checkSafe(call.metadata);
  let behind: Svid | undefined;
  const send = (svid: Svid): void => {
    // A client that does not read gets the newest when it does.
    if (call.waitingBytes > 0) behind = svid;
    else call.write(read(svid));
  };
  const rotation: Disposable = identity.onRotated(send);
  let first: Svid | undefined;
  try {
    first = identity.current();
  } catch {
    // Before the first certificate there is nothing to tell; it follows.
  }
  if (first !== undefined) send(first);
  return {
    onMessage: () => undefined,
    // The request is all that the client says; the answers go on.
    onEnd: () => undefined,
    onTaken() {
      if (call.waitingBytes > 0 || behind === undefined) return;
      const svid = behind;
      behind = undefined;
      send(svid);
    },
    onGone: () => rotation[Symbol.dispose](),
  };
}

function answering<Request, Response>(
  codec: GrpcServerCodec<Request, Response>,
  work: (request: Request) => Promise<Response>,
): GrpcServerMethod {
  const answer = async (request: Request, { metadata }: GrpcCallInfo): Promise<Response> => {
    checkSafe(metadata);
    return work(request);
  };
  return unaryMethod(codec, answer, deniedOf);
}

/** The Workload API knows no UNAUTHENTICATED (section 4). */
function deniedOf(thrown: unknown): GrpcFailure {
  const failure = failureOf(thrown);
  const denied = failure.status === GrpcStatus.UNAUTHENTICATED;
  return denied ? { ...failure, status: GrpcStatus.PERMISSION_DENIED } : failure;
}

function checkSafe(metadata: HeaderList): void {
  if (joinHeader(metadata, SECURITY_HEADER) === "true") return;
  throw new MeshError("invalid", "AGENT_WORKLOAD_API", `the metadata ${SECURITY_HEADER}: true is missing`);
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
