/** What a workload's identity is made of. */
export interface SpiffeIdParts {
  /** `cluster.local` */
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A SPIFFE id that names a workload. */
export interface SpiffeId {
  readonly trustDomain: string;
  /** With its leading slash; never empty. */
  readonly path: string;
}

const MAX_LENGTH = 2048;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const PATH = /^(?:\/[A-Za-z0-9._-]+)+$/;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;

/**
 * Parses a workload's SPIFFE id, strictly: lower-case scheme and trust domain, no port, user, query, fragment or
 * escapes, no empty or dot segments, no trailing slash, at most 2048 characters, and a path (an id without one names a
 * trust domain, not a workload). Undefined for everything else. SPIFFE-ID sections 2 and 2.3.
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > MAX_LENGTH || !text.startsWith("spiffe://")) return undefined;
  const slash = text.indexOf("/", 9);
  if (slash < 0) return undefined;
  const trustDomain = text.slice(9, slash);
  const path = text.slice(slash);
  if (!TRUST_DOMAIN.test(trustDomain) || !PATH.test(path) || DOT_SEGMENT.test(path)) return undefined;
  return { trustDomain, path };
}

/** Whether a text can name a trust domain (SPIFFE-ID section 2.1): no upper case, no port, no escapes. */
export function isTrustDomain(name: string): boolean {
  return TRUST_DOMAIN.test(name);
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
export function formatSpiffeId(parts: SpiffeIdParts): string {
  return `spiffe://${parts.trustDomain}/ns/${parts.namespace}/sa/${parts.serviceAccount}`;
}

/** Namespace of the control plane itself. */
export const CONTROL_PLANE_NAMESPACE = "istio-system";
/** Service account of the control plane itself. */
export const CONTROL_PLANE_ACCOUNT = "istiod";

/** The control plane's own id in a trust domain: what a workload expects of whom it asks for configuration. */
export function controlPlaneSpiffeId(trustDomain: string): string {
  return formatSpiffeId({
    trustDomain,
    namespace: CONTROL_PLANE_NAMESPACE,
    serviceAccount: CONTROL_PLANE_ACCOUNT,
  });
}
