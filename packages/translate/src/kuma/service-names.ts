import {
  DISPLAY_NAME_LABEL,
  NAMESPACE_LABEL,
  type KumaBackendRef,
  type KumaDestination,
  type ServiceEntrySpec,
} from "@tulle/api";
import { expandHost, fullHost, type ServiceId } from "../hosts.js";
import { SERVICE_ENTRY } from "../kinds.js";
import { isPortNumber } from "../ports.js";
import type { Translation } from "../translation.js";

/** A service as a policy names it. */
export interface NamedService extends ServiceId {
  /** Where the name holds one. */
  readonly port?: number;
}

type Reference = Pick<KumaDestination | KumaBackendRef, "kind" | "name" | "namespace" | "labels">;

/**
 * The service of a name that was written in `namespace`. Kuma's older names, `<name>_<namespace>_svc_<port>`, say
 * all themselves.
 */
export function serviceOfName(name: string, namespace: string): NamedService {
  const [, own, of, port] = /^(.+)_([^_]+)_svc(?:_([1-9]\d{0,4}))?$/.exec(name) ?? [];
  if (own === undefined || of === undefined) return { name, namespace };
  const number = Number(port ?? 0);
  return { name: own, namespace: of, ...(isPortNumber(number) && { port: number }) };
}

/** The service that a reference is to; undefined when it is to none in particular. */
export function referredService(reference: Reference, namespace: string): NamedService | undefined {
  const { name, labels, namespace: written } = reference;
  if (name !== undefined) return serviceOfName(name, written ?? namespace);
  const labelled = labels?.[DISPLAY_NAME_LABEL];
  return labelled === undefined
    ? undefined
    : { name: labelled, namespace: labels?.[NAMESPACE_LABEL] ?? namespace };
}

/** The hosts that a reference stands for, in full; none when it is to a ServiceEntry that does not exist. */
export function referredHosts(t: Translation, reference: Reference, namespace: string): readonly string[] {
  const service = referredService(reference, namespace);
  if (service === undefined) return [];
  const domain = t.settings.domainSuffix;
  if (reference.kind !== "MeshExternalService") return [fullHost(service, domain)];
  const entry = t
    .objects<ServiceEntrySpec>(SERVICE_ENTRY)
    .find(({ metadata }) => metadata.name === service.name && metadata.namespace === service.namespace);
  return (entry?.spec.hosts ?? []).map((host) => expandHost(host.toLowerCase(), service.namespace, domain));
}
