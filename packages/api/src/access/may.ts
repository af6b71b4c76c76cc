import { ALL_NAMESPACES, type Role, type Subject } from "./role.js";

export type AccessVerb = "read" | "write";

/**
 * What can be read or written, as far as rights differ:
 * - `discovery`: which kinds there are, versions, addresses and roots of trust; belongs to no namespace
 * - `config`: the kinds that users write, but for Secrets
 * - `admission-policy`: rules about what may be written, which are for those who write
 * - `secret`: Secrets
 * - `registration`: services, instances and checks
 * - `mesh`: what the control plane knows of the whole: status, analysis, metrics
 * - `proxy`: what running proxies are asked or told: explanations, recorded requests, log levels
 * - `join-token`, `access-token`: credentials; reading them tells who has some, never the token itself
 */
export type AccessKind =
  | "discovery"
  | "config"
  | "admission-policy"
  | "secret"
  | "registration"
  | "mesh"
  | "proxy"
  | "join-token"
  | "access-token";

/** One thing that somebody wants to do. */
export interface AccessAction {
  readonly verb: AccessVerb;
  readonly kind: AccessKind;
  /**
   * Of what is read or written. {@link ALL_NAMESPACES}: of several, or of none. {@link SOME_NAMESPACE}: whoever knows
   * which asks again.
   */
  readonly namespace: string;
  /**
   * Whose a registration says it is: its service's name and account, and those of what it replaces. A workload may
   * write only what claims nothing but its own account's name.
   */
  readonly claims?: readonly string[];
  /** What it is about, for messages and the audit log: `virtualservices/reviews`. */
  readonly object?: string;
}

/** Stands for "at least one": the right is there, where it holds is asked later. No namespace has such a name. */
export const SOME_NAMESPACE = "?";

/** What each role may at most do: what is not listed is denied. Writing includes reading. */
const GRANTS: Readonly<Record<Role, Readonly<Partial<Record<AccessKind, AccessVerb>>>>> = {
  admin: {
    discovery: "read",
    config: "write",
    "admission-policy": "write",
    secret: "write",
    registration: "write",
    mesh: "write",
    proxy: "write",
    "join-token": "write",
    "access-token": "write",
  },
  operator: {
    discovery: "read",
    config: "write",
    "admission-policy": "read",
    secret: "write",
    registration: "write",
    mesh: "read",
    proxy: "write",
    "join-token": "write",
  },
  "read-only": {
    discovery: "read",
    config: "read",
    "admission-policy": "read",
    registration: "read",
    mesh: "read",
    proxy: "read",
  },
  workload: { discovery: "read", registration: "write" },
};

/** Whether `subject` may do that. What nothing allows is denied. */
export function may(subject: Subject, action: AccessAction): boolean {
  const { verb, kind, namespace } = action;
  const granted = Object.hasOwn(GRANTS, subject.role) ? GRANTS[subject.role][kind] : undefined;
  if (granted === undefined || (verb === "write" && granted === "read")) return false;
  if (kind === "discovery") return true;
  if (!holdsIn(subject, namespace)) return false;
  if (subject.role !== "workload" || verb === "read" || namespace === SOME_NAMESPACE) return true;
  const { claims = [] } = action;
  return claims.length > 0 && claims.every((claim) => claim === subject.serviceAccount);
}

function holdsIn({ namespaces }: Subject, namespace: string): boolean {
  if (namespaces === ALL_NAMESPACES) return true;
  if (namespace === SOME_NAMESPACE) return namespaces.length > 0;
  // What belongs to none ("") and what is of all is for those only who may everywhere.
  return namespace !== "" && namespace !== ALL_NAMESPACES && namespaces.includes(namespace);
}

/** What was wanted, in words: `write registrations of reviews in namespace shop`. */
export function describeAction({ verb, kind, namespace, claims = [] }: AccessAction): string {
  const what = [verb, PLURALS[kind], ...(claims.length === 0 ? [] : ["of", claims.join(" and ")])].join(" ");
  if (kind === "discovery" || namespace === SOME_NAMESPACE) return what;
  const isWide = namespace === ALL_NAMESPACES || namespace === "";
  return `${what} ${isWide ? "of the whole mesh" : `in namespace ${namespace}`}`;
}

const PLURALS: Readonly<Record<AccessKind, string>> = {
  discovery: "what is served",
  config: "configuration",
  "admission-policy": "admission policies",
  secret: "secrets",
  registration: "registrations",
  mesh: "the state",
  proxy: "proxies",
  "join-token": "join tokens",
  "access-token": "access tokens",
};
