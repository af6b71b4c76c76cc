import { create } from "@bufbuild/protobuf";
import type { handleUnaryCall } from "@grpc/grpc-js";
import { MeshError, TokenBucket, type Clock } from "@tulle/base";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  JwtSvids,
  SignedJwtSchema,
  type SignedJwt,
  type SignJwtRequest,
} from "@tulle/xds/gen/tulle/v1/jwt_svids_pb.js";

import type { PeerIdentityOf } from "../grpc/peer-identity.js";
import type { GrpcService } from "../grpc/server.js";
import { grpcStatusOf } from "../grpc/status.js";
import type { JwtAuthority } from "./jwt-authority.js";

/** Tokens per second that are signed, and how many at once. */
const RATE_PER_SECOND = 200;
const BURST = 1000;

/** `tulle.v1.JwtSvids`: a JWT-SVID of the identity that the caller's certificate proves. */
export function createJwtSvidService(options: {
  readonly authority: JwtAuthority;
  readonly peerIdentity: PeerIdentityOf;
  readonly clock: Clock;
}): GrpcService {
  const { authority, peerIdentity, clock } = options;
  const bucket = new TokenBucket(RATE_PER_SECOND, BURST, clock);
  const sign: handleUnaryCall<SignJwtRequest, SignedJwt> = (call, callback) => {
    const peer = peerIdentity(call);
    if (peer === undefined || !bucket.take()) {
      callback(grpcStatusOf(peer === undefined ? nobody() : busy()));
      return;
    }
    authority.sign(peer.spiffeId, call.request.audience).then(
      (token) => callback(null, create(SignedJwtSchema, { token })),
      (thrown: unknown) => callback(grpcStatusOf(thrown)),
    );
  };
  return { definition: grpcServiceDefinition(JwtSvids), implementation: { sign } };
}

function nobody(): MeshError {
  return new MeshError(
    "unauthenticated",
    "CA_NO_PROOF",
    "tokens are for workloads of the mesh: connect with a certificate that has not expired",
  );
}

function busy(): MeshError {
  return new MeshError("exhausted", "CA_BUSY", "too many tokens at once; try again in a second");
}
