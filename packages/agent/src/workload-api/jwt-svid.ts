import { create } from "@bufbuild/protobuf";
import { MeshError, parseSpiffeId, type Clock } from "@tulle/base";
import { grpcServiceDefinition } from "@tulle/xds";
import { JwtSvids, SignJwtRequestSchema } from "@tulle/xds/gen/tulle/v1/jwt_svids_pb.js";
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet, type JWTPayload } from "jose";

import type { Svid } from "../contract.js";
import { connectControlPlane, controlPlaneError } from "../control-plane.js";

export interface JwtSvidRequest {
  readonly audience: readonly string[];
  readonly svid: Svid;
  /** `host:port` of the control plane's TLS port. */
  readonly controlPlaneAddress: string;
  readonly trustDomain: string;
  readonly clock: Clock;
}

const TIMEOUT_MS = 10_000;
/** Audiences of one token, and characters of one. */
const MAX_AUDIENCES = 16;
const MAX_AUDIENCE_LENGTH = 1024;
const MAX_TOKEN_LENGTH = 16 * 1024;
/** JWT-SVID section 3.1: no `none`, no shared secrets. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

const SIGN = grpcServiceDefinition(JwtSvids).sign;

/** Asks the control plane for a JWT-SVID. Errors: `invalid` AGENT_AUDIENCE, and AGENT_CONTROL_PLANE. */
export async function requestJwtSvid(request: JwtSvidRequest): Promise<string> {
  const { audience, svid, controlPlaneAddress: address, trustDomain, clock } = request;
  const wrong = audience.some((one) => one === "" || one.length > MAX_AUDIENCE_LENGTH);
  if (audience.length === 0 || audience.length > MAX_AUDIENCES || wrong) {
    throw new MeshError("invalid", "AGENT_AUDIENCE", `name 1 to ${MAX_AUDIENCES} audiences`);
  }
  const target = { address, rootCertificatePem: svid.trustBundlePem, trustDomain };
  const client = connectControlPlane(target, svid, clock);
  try {
    const answer = await client
      .unary(SIGN, create(SignJwtRequestSchema, { audience: [...audience] }), { timeoutMs: TIMEOUT_MS })
      .catch((thrown: unknown) => {
        throw controlPlaneError(target, thrown);
      });
    return answer.token;
  } finally {
    client[Symbol.dispose]();
  }
}

/** Whom a JWT-SVID names, and all that it says. */
export interface ValidJwtSvid {
  readonly spiffeId: string;
  readonly claims: JWTPayload;
}

/**
 * Validates a JWT-SVID (JWT-SVID section 5): signed by a key of the trust domain that its subject is of, for this
 * audience, not expired. Errors: `invalid` AGENT_JWT_SVID.
 */
export async function validateJwtSvid(
  token: string,
  rule: {
    readonly audience: string;
    /** JWK Sets by trust domain, JSON. */
    readonly bundles: Readonly<Record<string, string>>;
    readonly nowMs: number;
  },
): Promise<ValidJwtSvid> {
  if (rule.audience === "") throw refuse("no audience was given");
  if (token.length > MAX_TOKEN_LENGTH) throw refuse("it is too long");
  try {
    // Whom it names decides by whose keys it must be signed.
    const { sub = "" } = decodeJwt(token);
    const id = parseSpiffeId(sub);
    const jwks =
      id !== undefined && Object.hasOwn(rule.bundles, id.trustDomain)
        ? rule.bundles[id.trustDomain]
        : undefined;
    if (id === undefined || jwks === undefined)
      throw refuse("its subject is of no trust domain that is known here");
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(signingKeys(jwks)), {
      audience: rule.audience,
      algorithms: ALGORITHMS,
      currentDate: new Date(rule.nowMs),
      requiredClaims: ["sub", "aud", "exp"],
    });
    const { typ, kid } = protectedHeader;
    if (kid === undefined || (typ !== undefined && typ !== "JWT" && typ !== "JOSE")) {
      throw refuse("its header is not a JWT-SVID's");
    }
    return { spiffeId: sub, claims: payload };
  } catch (thrown) {
    throw thrown instanceof MeshError
      ? thrown
      : refuse(thrown instanceof Error ? thrown.message : "it cannot be read");
  }
}

/** SPIFFE marks keys of JWT-SVIDs as such; a library of JWTs asks for those that are for signatures. */
function signingKeys(jwks: string): JSONWebKeySet {
  const { keys } = JSON.parse(jwks) as JSONWebKeySet;
  return {
    keys: keys
      .filter(({ use }) => use === undefined || use === "jwt-svid")
      .map((key) => ({ ...key, use: "sig" })),
  };
}

function refuse(why: string): MeshError {
  return new MeshError("invalid", "AGENT_JWT_SVID", `not a valid JWT-SVID: ${why}`);
}
