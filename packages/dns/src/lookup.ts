import { parseHexAddress } from "./ip-address.js";

/** The zones that are answered for, in lower case without dots at the ends. */
export interface Zones {
  /** Consul's zone, `consul`. */
  readonly domain: string;
  /** Kubernetes' zone, `cluster.local`. */
  readonly clusterDomain: string;
  readonly datacenter: string;
}

/**
 * What a name asks for. `empty`: nothing lives at the name itself, only below it (RFC 8020: that is not NXDOMAIN).
 * `foreign`: outside of our zones. `zone` is the apex whose SOA goes with negative answers.
 */
export type Lookup =
  | { readonly kind: "apex" | "empty" | "unknown"; readonly zone: string }
  | { readonly kind: "foreign" }
  | {
      readonly kind: "service";
      readonly zone: string;
      readonly namespace: string;
      readonly name: string;
      readonly tag: string | undefined;
      readonly portName: string | undefined;
    }
  | { readonly kind: "node"; readonly zone: string; readonly name: string }
  | { readonly kind: "address"; readonly zone: string; readonly address: Buffer };

const DEFAULT_NAMESPACE = "default";

/** Reads the labels (lower case) of a question. */
export function parseLookup(labels: readonly string[], zones: Zones): Lookup {
  const consul = below(labels, zones.domain);
  if (consul !== undefined) return parseConsulName(consul, zones);
  const cluster = below(labels, zones.clusterDomain);
  if (cluster !== undefined) return parseClusterName(cluster, zones.clusterDomain);
  return { kind: "foreign" };
}

/** The labels left of `domain`, or undefined when the name is not in it. */
function below(labels: readonly string[], domain: string): readonly string[] | undefined {
  const suffix = domain.split(".");
  const split = labels.length - suffix.length;
  if (split < 0 || !suffix.every((label, i) => labels[split + i] === label)) return undefined;
  return labels.slice(0, split);
}

/** `[<tag>.]<service>.service`, `_<service>._<tag or tcp>[.service]`, `<node>.node`, `<hex ip>.addr`, then the place. */
function parseConsulName(labels: readonly string[], { domain: zone, datacenter }: Zones): Lookup {
  if (labels.length === 0) return { kind: "apex", zone };
  const unknown: Lookup = { kind: "unknown", zone };
  const place = stripPlace(labels, datacenter);
  if (place === undefined) return unknown;
  const { rest, namespace } = place;
  if (rest.length === 0) return { kind: "empty", zone };
  const subject = rest.slice(0, -1);
  switch (rest.at(-1)) {
    case "service":
      return parseServiceLabels(subject, zone, namespace);
    case "node":
      return subject.length === 0 ? { kind: "empty", zone } : { kind: "node", zone, name: subject.join(".") };
    case "addr": {
      if (subject.length === 0) return { kind: "empty", zone };
      const address = subject.length === 1 ? parseHexAddress(subject[0] ?? "") : undefined;
      return address === undefined ? unknown : { kind: "address", zone, address };
    }
    default:
      return rest.every((label) => label.startsWith("_"))
        ? parseServiceLabels(rest, zone, namespace)
        : unknown;
  }
}

function parseServiceLabels(labels: readonly string[], zone: string, namespace: string): Lookup {
  const [first = "", second = ""] = labels;
  if (labels.length === 0 || (labels.length === 1 && first.startsWith("_"))) return { kind: "empty", zone };
  if (labels.length === 2 && first.startsWith("_") && second.startsWith("_")) {
    const tag = second === "_tcp" ? undefined : second.slice(1);
    return { kind: "service", zone, namespace, name: first.slice(1), tag, portName: undefined };
  }
  const tag = labels.length > 1 ? labels.slice(0, -1).join(".") : undefined;
  return { kind: "service", zone, namespace, name: labels.at(-1) ?? "", tag, portName: undefined };
}

/**
 * Takes `<dc>.dc`, `<namespace>.ns`, `<partition>.ap` (in any order) or a bare data center off the right end;
 * undefined when they name a place that this is not.
 */
function stripPlace(
  labels: readonly string[],
  datacenter: string,
): { rest: readonly string[]; namespace: string } | undefined {
  const places = new Map<string, string>();
  let rest = labels;
  for (;;) {
    const marker = rest.at(-1);
    if (marker !== "dc" && marker !== "ns" && marker !== "ap") break;
    const value = rest.at(-2);
    if (value === undefined) return { rest: [], namespace: DEFAULT_NAMESPACE };
    if (places.has(marker)) return undefined;
    places.set(marker, value);
    rest = rest.slice(0, -2);
  }
  if (!places.has("dc") && rest.at(-1) === datacenter) rest = rest.slice(0, -1);
  if ((places.get("dc") ?? datacenter) !== datacenter) return undefined;
  if ((places.get("ap") ?? "default") !== "default") return undefined;
  return { rest, namespace: places.get("ns") ?? DEFAULT_NAMESPACE };
}

/** `[_<port name>._tcp.]<service>.<namespace>.svc` (Kubernetes' DNS specification, sections 2.3.1 and 2.3.2). */
function parseClusterName(labels: readonly string[], zone: string): Lookup {
  if (labels.length === 0) return { kind: "apex", zone };
  if (labels.at(-1) !== "svc") return { kind: "unknown", zone };
  if (labels.length <= 2) return { kind: "empty", zone };
  const namespace = labels.at(-2) ?? "";
  const name = labels.at(-3) ?? "";
  const service = { kind: "service", zone, namespace, name, tag: undefined } as const;
  if (labels.length === 3) return { ...service, portName: undefined };
  const [port = "", protocol] = labels;
  if (labels.length === 5 && port.startsWith("_") && protocol === "_tcp") {
    return { ...service, portName: port.slice(1) };
  }
  return labels.length === 4 && port === "_tcp" ? { kind: "empty", zone } : { kind: "unknown", zone };
}
