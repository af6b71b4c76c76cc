/** What a caller of the control plane may be; see docs/access.md. */
export const ROLES = ["admin", "operator", "read-only", "workload"] as const;

export type Role = (typeof ROLES)[number];

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/** Every namespace, and what belongs to none. */
export const ALL_NAMESPACES = "*";

/** What somebody may be and where. */
export interface Scope {
  readonly role: Role;
  /** Namespaces that the role holds in; {@link ALL_NAMESPACES} = in all, and for what belongs to none. */
  readonly namespaces: typeof ALL_NAMESPACES | readonly string[];
  /** The one account that a `workload` speaks for, in its one namespace. */
  readonly serviceAccount?: string;
}

/** Who calls the control plane, and what that lets it do. */
export interface Subject extends Scope {
  /** For people and the audit log: `token:ci`, a SPIFFE id, a user of Kubernetes. Never a secret. */
  readonly name: string;
}
