import { ALL_NAMESPACES, type Role, type Subject } from "@tulle/api";
import { MeshError, type Clock } from "@tulle/base";
import type { JWTPayload } from "jose";

import {
  claimAt,
  claimText,
  isJwt,
  JwksSource,
  tokenHead,
  verifyToken,
  type FetchText,
} from "../token-keys/index.js";
import type { Authenticated, VerifyBearer } from "./authenticator.js";

/** An OpenID provider whose users may log in to the control plane. */
export interface OidcProvider {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** A token must be for one of these: never one that was made for another program. */
  readonly audiences: readonly string[];
  /** Where its keys are; default: where its discovery document says. */
  readonly jwksUri?: string;
  readonly jwksFile?: string;
  /** Claim that people are called by in the audit log; default `sub`. */
  readonly name?: string;
  /** Who gets which role; the first that matches says it. Whom none matches is nobody. */
  readonly roles: readonly OidcRole[];
}

/** Whoever has one of these values in a claim (a text, or a list of them) has this role. */
export interface OidcRole {
  /** By its name, or by a path with slashes: `realm_access/roles`. */
  readonly claim: string;
  readonly values: readonly string[];
  readonly role: "operator" | "read-only";
  /** Default: all. */
  readonly namespaces?: readonly string[];
}

export interface OidcLoginsOptions {
  readonly providers: readonly OidcProvider[];
  readonly clock: Clock;
  /** How keys are fetched; default: behind the guard. */
  readonly fetchFor?: ((configured: string) => FetchText) | undefined;
}

const PROVIDER_FIELDS = ["issuer", "audiences", "jwksUri", "jwksFile", "name", "roles"];
const ROLE_FIELDS = ["claim", "values", "role", "namespaces"];
const ROLES: readonly Role[] = ["operator", "read-only"];
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const MAX_NAME = 256;

/**
 * Tokens of OpenID providers as logins of people (`Authorization: Bearer …`): who has which claim is operator or may read.
 * What does not verify, or has none of the claims, is nobody's. Errors of making it: `invalid` ACCESS_OIDC, CA_JWKS; rejects
 * with `unavailable` when a provider's keys cannot be had.
 */
export function oidcLogins({ providers, clock, fetchFor }: OidcLoginsOptions): VerifyBearer {
  const byIssuer = new Map<string, { readonly provider: OidcProvider; readonly keys: JwksSource }>();
  for (const provider of providers) {
    check(provider);
    const { issuer, jwksUri: uri, jwksFile: file } = provider;
    if (byIssuer.has(issuer)) throw wrong(`the issuer ${issuer} stands there twice`);
    byIssuer.set(issuer, { provider, keys: new JwksSource({ issuer, uri, file, clock, fetchFor }) });
  }
  return async (token) => {
    if (!isJwt(token)) return undefined;
    let head: ReturnType<typeof tokenHead>;
    try {
      head = tokenHead(token);
    } catch {
      return undefined;
    }
    const known = head.issuer === undefined ? undefined : byIssuer.get(head.issuer);
    if (known === undefined) return undefined;
    const keys = await known.keys.keys(head.kid);
    const payload = await verifyToken(token, keys, known.provider, clock).catch(() => undefined);
    return payload && loginOf(payload, known.provider);
  };
}

function loginOf(payload: JWTPayload, provider: OidcProvider): Authenticated | undefined {
  const { exp } = payload;
  const name = claimText(claimOf(payload, provider.name ?? "sub"));
  const matching = provider.roles.filter((rule) => matches(payload, rule));
  const [first] = matching;
  if (exp === undefined || name === undefined || name === "" || first === undefined) return undefined;
  const subject: Subject = {
    name: `oidc:${provider.issuer}#${name.slice(0, MAX_NAME)}`,
    role: first.role,
    namespaces: namespacesOf(matching.filter(({ role }) => role === first.role)),
  };
  return { subject, expiresAt: exp * 1000 };
}

/** Rules of one role add up. */
function namespacesOf(rules: readonly OidcRole[]): Subject["namespaces"] {
  if (rules.some(({ namespaces }) => namespaces === undefined)) return ALL_NAMESPACES;
  return [...new Set(rules.flatMap(({ namespaces = [] }) => namespaces))];
}

function matches(payload: JWTPayload, { claim, values }: OidcRole): boolean {
  const found = claimOf(payload, claim);
  const texts = Array.isArray(found) ? found : [found];
  return texts.some((one) => typeof one === "string" && values.includes(one));
}

/** An address that nobody has verified is what its user has written. */
function claimOf(payload: JWTPayload, path: string): unknown {
  if (path === "email" && payload["email_verified"] !== true) return undefined;
  return claimAt(payload, path);
}

function check(provider: OidcProvider): void {
  const { issuer, audiences, jwksUri, jwksFile, name, roles } = provider;
  if (typeof issuer !== "string" || issuer === "") throw wrong("every provider must have an issuer");
  const at = (what: string): MeshError => wrong(`${issuer}: ${what}`);
  refuseOthers(provider, PROVIDER_FIELDS, issuer);
  if (!isTexts(audiences))
    throw at("audiences must name at least one, so that a token for somebody else is none for us");
  for (const [field, value] of Object.entries({ jwksUri, jwksFile, name }))
    if (value !== undefined && (typeof value !== "string" || value === ""))
      throw at(`${field} must be a text`);
  if (!Array.isArray(roles) || roles.length === 0) throw at("roles must have at least one rule");
  roles.forEach((rule: OidcRole, index) => {
    const where = `roles[${index}]`;
    if (typeof rule !== "object" || rule === null) throw at(`${where} must be a rule`);
    refuseOthers(rule, ROLE_FIELDS, `${issuer}: ${where}`);
    if (typeof rule.claim !== "string" || rule.claim === "") throw at(`${where}.claim must name a claim`);
    if (!isTexts(rule.values)) throw at(`${where}.values must have at least one text`);
    if (!ROLES.includes(rule.role))
      throw at(`${where}.role must be operator or read-only: admins have tokens of the control plane's own`);
    const { namespaces } = rule;
    if (namespaces !== undefined && (!isTexts(namespaces) || !namespaces.every((one) => NAMESPACE.test(one))))
      throw at(`${where}.namespaces must have at least one namespace, or be left out for all`);
  });
}

/** A field that is written wrongly would let somebody in whom it was to keep out. */
function refuseOthers(object: object, fields: readonly string[], where: string): void {
  const other = Object.keys(object).find((field) => !fields.includes(field));
  if (other !== undefined) throw wrong(`${where}: ${other} is not a known field (${fields.join(", ")})`);
}

function isTexts(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string" && one !== "")
  );
}

function wrong(why: string): MeshError {
  return new MeshError("invalid", "ACCESS_OIDC", `OpenID providers: ${why}`);
}
