import { create } from "@bufbuild/protobuf";
import { MeshError, TokenBucket, type Clock } from "@tulle/base";
import { unaryMethod, type GrpcServerMethod } from "@tulle/http/socket";
import { grpcServiceDefinition } from "@tulle/xds";
import { JwtSvids, SignedJwtSchema } from "@tulle/xds/gen/tulle/v1/jwt_svids_pb.js";

import type { PeerIdentityOf } from "../grpc/peer-identity.js";
import { grpcFailureOf } from "../grpc/status.js";
import type { JwtAuthority } from "./jwt-authority.js";

/** Tokens per second that are signed, and how many at once. */
const RATE_PER_SECOND = 200;
const BURST = 1000;

/** `tulle.v1.JwtSvids`: a JWT-SVID of the identity that the caller's certificate proves. */
export function createJwtSvidService(options: {
  readonly authority: JwtAuthority;
  readonly peerIdentity: PeerIdentityOf;
  readonly clock: Clock;
}): readonly GrpcServerMethod[] {
  const { authority, peerIdentity, clock } = options;
  const bucket = new TokenBucket(RATE_PER_SECOND, BURST, clock);
  const sign = unaryMethod(
    grpcServiceDefinition(JwtSvids).sign,
    async (request, call) => {
      const peer = peerIdentity(call);
      if (peer === undefined) throw nobody();
      if (!bucket.take()) throw busy();
      return create(SignedJwtSchema, { token: await authority.sign(peer.spiffeId, request.audience) });
    },
    grpcFailureOf,
  );
  return [sign];
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
