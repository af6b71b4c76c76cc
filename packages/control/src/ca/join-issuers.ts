import { CONTROL_PLANE_ACCOUNT, CONTROL_PLANE_NAMESPACE, MeshError, type Clock } from "@tulle/base";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JWTPayload } from "jose";

import { JwksSource } from "./jwks-source.js";
import { IN_CLUSTER, reviewToken, type TokenReviewOptions } from "./token-review.js";
import { isWorkloadAccount, type WorkloadAccount } from "./workload-id.js";

/**
 * Somebody whose tokens prove a workload's account: a Kubernetes cluster, a cloud, a CI. `namespace` and
 * `serviceAccount` may take claims over: `{sub}`, `{kubernetes.io/namespace}`; a path goes by slashes.
 */
export interface JoinIssuer {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** The token must be for one of these. */
  readonly audiences: readonly string[];
  /** Where its keys are: one of these, or `tokenReview`. */
  readonly jwksUri?: string;
  readonly jwksFile?: string;
  /** Ask the Kubernetes API instead of looking at the signature. `{}`: as in a pod. */
  readonly tokenReview?: Partial<TokenReviewOptions>;
  /** Claims that the token must have, by path. */
  readonly claims?: Readonly<Record<string, string>>;
  /** Default: those of a Kubernetes service account. */
  readonly namespace?: string;
  readonly serviceAccount?: string;
}

export interface JoinIssuersOptions {
  readonly issuers: readonly JoinIssuer[];
  readonly clock: Clock;
  /** For keys; default: the host's. */
  readonly fetch?: typeof fetch;
}

/** No `none`, no shared secrets. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const MAX_TOKEN_LENGTH = 16 * 1024;
const CLOCK_TOLERANCE_S = 30;
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const CLAIM = /\{([^{}]+)\}/g;

/** Whether a bearer token has the form of a JWT; join tokens of the control plane have no dots. */
export function isJwt(token: string): boolean {
  return JWT.test(token);
}

/** Knows accounts by tokens of others. What is not clearly allowed is refused. */
export class JoinIssuers {
  readonly #clock: Clock;
  readonly #byIssuer = new Map<
    string,
    { readonly rule: JoinIssuer; readonly keys: JwksSource | undefined }
  >();

  /** Errors: `invalid` CA_JOIN_ISSUER, CA_JWKS. */
  constructor({ issuers, clock, fetch }: JoinIssuersOptions) {
    this.#clock = clock;
    for (const rule of issuers) {
      const { issuer, audiences, jwksUri: uri, jwksFile: file, tokenReview } = rule;
      if (typeof issuer !== "string" || issuer === "" || this.#byIssuer.has(issuer))
        throw wrong(`"${issuer}" must be the issuer's name, once`);
      if (
        !Array.isArray(audiences) ||
        audiences.length === 0 ||
        audiences.some((one) => typeof one !== "string")
      )
        throw wrong(
          `${issuer}: audiences must name at least one, so that a token for somebody else is none for us`,
        );
      if (tokenReview !== undefined && (uri ?? file) !== undefined)
        throw wrong(`${issuer}: tokenReview excludes jwksUri and jwksFile`);
      const keys =
        tokenReview === undefined ? new JwksSource({ uri, file, clock, ...(fetch && { fetch }) }) : undefined;
      this.#byIssuer.set(issuer, { rule, keys });
    }
  }

  /**
   * The account that a token proves. Errors: `unauthenticated` CA_JOIN_JWT for a token that is not valid for us,
   * `denied` CA_JOIN_CLAIMS for one that is, of somebody who may not join; `unavailable` when keys cannot be had.
   */
  async accountOf(token: string): Promise<WorkloadAccount> {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid("it is too long");
    let issuer: unknown;
    let kid: string | undefined;
    try {
      issuer = decodeJwt(token).iss;
      ({ kid } = decodeProtectedHeader(token));
    } catch {
      throw invalid("it cannot be read");
    }
    const known = typeof issuer === "string" ? this.#byIssuer.get(issuer) : undefined;
    if (known === undefined) throw invalid("its issuer is not one that is let in (--join-issuers)");
    const { rule, keys } = known;
    const account =
      keys === undefined ? await this.#reviewed(token, rule) : await this.#verified(token, kid, rule, keys);
    const { namespace, serviceAccount } = account;
    if (namespace === CONTROL_PLANE_NAMESPACE && serviceAccount === CONTROL_PLANE_ACCOUNT)
      throw new MeshError(
        "denied",
        "CA_RESERVED",
        "the control plane's own identity is not issued on request",
      );
    return account;
  }

  async #reviewed(token: string, { audiences, tokenReview, claims }: JoinIssuer): Promise<WorkloadAccount> {
    const account = await reviewToken(token, audiences, { ...IN_CLUSTER, ...tokenReview });
    if (account === undefined || !isWorkloadAccount(account))
      throw invalid("Kubernetes says that it is no service account's for this audience");
    // Vouched for by the API server, so what it says may be believed.
    requireClaims(decodeJwt(token), claims);
    return account;
  }

  async #verified(
    token: string,
    kid: string | undefined,
    rule: JoinIssuer,
    keys: JwksSource,
  ): Promise<WorkloadAccount> {
    const set = await keys.keys(kid);
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, createLocalJWKSet(set), {
        issuer: rule.issuer,
        audience: [...rule.audiences],
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ["exp"],
      }));
    } catch (thrown) {
      throw invalid(thrown instanceof Error ? thrown.message : "it does not verify");
    }
    requireClaims(payload, rule.claims);
    const account = {
      namespace: fill(rule.namespace ?? "{kubernetes.io/namespace}", payload),
      serviceAccount: fill(rule.serviceAccount ?? "{kubernetes.io/serviceaccount/name}", payload),
    };
    if (isWorkloadAccount(account)) return account;
    throw new MeshError(
      "denied",
      "CA_JOIN_CLAIMS",
      `the token's claims give no service account: "${account.namespace.slice(0, 80)}/${account.serviceAccount.slice(0, 80)}"`,
    );
  }
}

function requireClaims(payload: JWTPayload, claims: Readonly<Record<string, string>> = {}): void {
  for (const [path, wanted] of Object.entries(claims)) {
    if (claimAt(payload, path) === wanted) continue;
    throw new MeshError(
      "denied",
      "CA_JOIN_CLAIMS",
      `the token's claim ${path} is not what it must be to join`,
    );
  }
}

/** The text with claims in their places; a claim that is missing or no text leaves a hole, which no account has. */
function fill(template: string, payload: JWTPayload): string {
  return template.replaceAll(CLAIM, (_all, path: string) => claimAt(payload, path) ?? "\0");
}

/** A claim's text, by its name or by a path of names. Numbers and truth values count as their text. */
function claimAt(payload: JWTPayload, path: string): string | undefined {
  const textOf = (value: unknown): string | undefined =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined;
  if (Object.hasOwn(payload, path)) return textOf(payload[path]);
  let value: unknown = payload;
  for (const name of path.split("/")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return textOf(value);
}

function invalid(why: string): MeshError {
  return new MeshError("unauthenticated", "CA_JOIN_JWT", `the token is not taken: ${why}`);
}

function wrong(why: string): MeshError {
  return new MeshError("invalid", "CA_JOIN_ISSUER", `join issuers: ${why}`);
}
