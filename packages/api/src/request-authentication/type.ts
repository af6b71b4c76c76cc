import type { PolicyTargetReference } from "../authorization-policy/type.js";

/** Which tokens (JWT) workloads take. A request without a token passes; a bad token is refused. */
export interface RequestAuthenticationSpec {
  /** Workloads of the object's namespace; none: the namespace, or the mesh when the object is in the root namespace. */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly jwtRules?: readonly JwtRuleSpec[];
}

/** An issuer and its tokens. */
export interface JwtRuleSpec {
  /** `iss` of its tokens, exactly. */
  readonly issuer: string;
  /** `aud` of its tokens must have one of them; none: any. */
  readonly audiences?: readonly string[];
  /** Where the control plane fetches the keys. Neither this nor `jwks`: where the issuer's discovery document says. */
  readonly jwksUri?: string;
  /** The keys themselves: a JWK Set as JSON. */
  readonly jwks?: string;
  /** Headers with tokens. Neither these nor parameters nor cookies: `Authorization: Bearer`, and the parameter `access_token`. */
  readonly fromHeaders?: readonly { readonly name: string; readonly prefix?: string }[];
  /** Query parameters with tokens. */
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  /** Header that the verified payload goes on in, as base64url. */
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[];
  /** The header with the token goes on, too. Default false. */
  readonly forwardOriginalToken?: boolean;
  /** Of fetching the keys; default 5 s. */
  readonly timeout?: string;
  /** Claims, beside `scope` and `permission`, that are lists written with spaces between. */
  readonly spaceDelimitedClaims?: readonly string[];
}
