import { CONTROL_PLANE_ACCOUNT, CONTROL_PLANE_NAMESPACE, MeshError, type Clock } from "@tulle/base";
import { decodeJwt, type JWTPayload } from "jose";

import {
  claimAt,
  claimText,
  JwksSource,
  tokenHead,
  verifyToken,
  type FetchText,
} from "../token-keys/index.js";
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
  /**
   * Whether a token with an id (`jti`) joins once. Default: it does, but for tokens of Kubernetes service accounts, which a
   * pod keeps in a file and shows again when its container is started anew. `true`: those without an id do not join.
   */
  readonly once?: boolean;
}

/** What a token proves. */
export interface ProvedAccount {
  readonly account: WorkloadAccount;
  /** Set where the token joins once. */
  readonly use: { readonly issuer: string; readonly id: string; readonly expiresAt: number } | undefined;
}

export interface JoinIssuersOptions {
  readonly issuers: readonly JoinIssuer[];
  readonly clock: Clock;
  /** For keys, by the URL that is written; default: behind the guard. */
  readonly fetchFor?: ((configured: string) => FetchText) | undefined;
}

const CLAIM = /\{([^{}]+)\}/g;

/** Knows accounts by tokens of others. What is not clearly allowed is refused. */
export class JoinIssuers {
  readonly #clock: Clock;
  readonly #byIssuer = new Map<
    string,
    { readonly rule: JoinIssuer; readonly keys: JwksSource | undefined }
  >();

  /** Errors: `invalid` CA_JOIN_ISSUER, CA_JWKS. */
  constructor({ issuers, clock, fetchFor }: JoinIssuersOptions) {
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
      if (rule.once !== undefined && typeof rule.once !== "boolean")
        throw wrong(`${issuer}: once must be true or false`);
      if (tokenReview === undefined && (uri ?? file) === undefined)
        throw wrong(`${issuer}: give jwksUri, jwksFile or tokenReview`);
      const keys =
        tokenReview === undefined ? new JwksSource({ issuer, uri, file, clock, fetchFor }) : undefined;
      this.#byIssuer.set(issuer, { rule, keys });
    }
  }

  /**
   * The account that a token proves. Errors: `unauthenticated` CA_JOIN_JWT for a token that is not valid for us,
   * `denied` CA_JOIN_CLAIMS for one that is, of somebody who may not join; `unavailable` when keys cannot be had.
   */
  async accountOf(token: string): Promise<WorkloadAccount> {
    return (await this.#proved(token)).account;
  }

  /** The same, with what must be used up of a token that joins once. */
  async prove(token: string): Promise<ProvedAccount> {
    const { account, rule } = await this.#proved(token);
    // Somebody has vouched for it, so what it says may be believed.
    return { account, use: useOf(decodeJwt(token), rule) };
  }

  async #proved(token: string): Promise<{ readonly account: WorkloadAccount; readonly rule: JoinIssuer }> {
    const { issuer, kid } = headOf(token);
    const known = issuer === undefined ? undefined : this.#byIssuer.get(issuer);
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
    return { account, rule };
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
    const payload = await verifyToken(token, set, rule, this.#clock).catch((thrown: unknown) => {
      throw invalid(thrown instanceof Error ? thrown.message : "it does not verify");
    });
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

function headOf(token: string): ReturnType<typeof tokenHead> {
  try {
    return tokenHead(token);
  } catch (thrown) {
    throw invalid(thrown instanceof Error ? thrown.message : "");
  }
}

function useOf(payload: JWTPayload, { issuer, once }: JoinIssuer): ProvedAccount["use"] {
  const { jti, exp } = payload;
  const joinsOnce = once ?? !Object.hasOwn(payload, "kubernetes.io");
  if (!joinsOnce) return undefined;
  if (typeof jti !== "string" || jti === "" || exp === undefined) {
    if (once !== true) return undefined;
    throw invalid(
      "it has no id (jti), and its issuer's tokens are to join once (once: true in --join-issuers)",
    );
  }
  return { issuer, id: jti, expiresAt: exp * 1000 };
}

function requireClaims(payload: JWTPayload, claims: Readonly<Record<string, string>> = {}): void {
  for (const [path, wanted] of Object.entries(claims)) {
    if (claimText(claimAt(payload, path)) === wanted) continue;
    throw new MeshError(
      "denied",
      "CA_JOIN_CLAIMS",
      `the token's claim ${path} is not what it must be to join`,
    );
  }
}

/** The text with claims in their places; a claim that is missing or no text leaves a hole, which no account has. */
function fill(template: string, payload: JWTPayload): string {
  return template.replaceAll(CLAIM, (_all, path: string) => claimText(claimAt(payload, path)) ?? "\0");
}

function invalid(why: string): MeshError {
  return new MeshError("unauthenticated", "CA_JOIN_JWT", `the token is not taken: ${why}`);
}

function wrong(why: string): MeshError {
  return new MeshError("invalid", "CA_JOIN_ISSUER", `join issuers: ${why}`);
}
