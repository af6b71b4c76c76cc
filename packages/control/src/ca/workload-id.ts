import { parseSpiffeId } from "@tulle/base";

/** The namespaced service account that a workload runs as. */
export interface WorkloadAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A Kubernetes DNS label (RFC 1123), which needs no escaping in a SPIFFE id. */
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A service account's name: a DNS subdomain. */
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** Whether the names can stand in a SPIFFE id of this mesh: namespace a DNS label, account a DNS subdomain. */
export function isWorkloadAccount(account: WorkloadAccount): boolean {
  return DNS_LABEL.test(account.namespace) && DNS_SUBDOMAIN.test(account.serviceAccount);
}

/**
 * The account that a SPIFFE id names, or undefined when it is not exactly of the form
 * `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`: no other case, no escapes, no port, query or further segment.
 */
export function parseWorkloadSpiffeId(
  text: string,
): (WorkloadAccount & { readonly trustDomain: string }) | undefined {
  const id = parseSpiffeId(text);
  if (id === undefined) return undefined;
  const [, ns, namespace = "", sa, serviceAccount = "", ...rest] = id.path.split("/");
  if (ns !== "ns" || sa !== "sa" || rest.length > 0) return undefined;
  const account = { namespace, serviceAccount };
  return isWorkloadAccount(account) ? { ...account, trustDomain: id.trustDomain } : undefined;
}
