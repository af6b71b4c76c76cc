import {
  GATEWAY_API_GROUP,
  type AuthorizationPolicySpec,
  type DestinationRuleSpec,
  type GatewaySpec,
  type MeshObject,
  type PeerAuthenticationSpec,
  type RequestAuthenticationSpec,
  type ServiceEntrySpec,
  type SidecarSpec,
  type VirtualServiceSpec,
} from "@tulle/api";
import { formatAddress } from "@tulle/base";
import {
  expandHost,
  fullGatewayName,
  GATEWAY_NAME_LABEL,
  type ClientView,
  type InboundPort,
  type MeshReader,
} from "@tulle/translate";
import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";

/** Clients, hosts and ports that one object is tried with, each. */
const MAX_VIEWS = 8;
const MAX_HOSTS = 16;
const MAX_PORTS = 8;
/** Port that a host is tried at that has none of its own. */
const HTTP_PORT = 80;
/** Stands for whatever a wildcard covers. */
const ANY_LABEL = "tulle-trial";

/** What a client asks for first; what these refer to is found on the way. */
export interface TrialRoot {
  readonly view: ClientView;
  readonly typeUrl: string;
  readonly name: string;
}

/** What clients ask for that an object may shape. Kinds without any here are not tried. */
export function trialRoots(reader: MeshReader, object: MeshObject): readonly TrialRoot[] {
  switch (object.kind) {
    case "VirtualService":
      return virtualServiceRoots(reader, object as MeshObject<VirtualServiceSpec>);
    case "DestinationRule":
      return destinationRuleRoots(reader, object as MeshObject<DestinationRuleSpec>);
    case "ServiceEntry":
      return serviceEntryRoots(reader, object as MeshObject<ServiceEntrySpec>);
    case "PeerAuthentication": {
      const { spec, metadata } = object as MeshObject<PeerAuthenticationSpec>;
      const ports = Object.keys(spec.portLevelMtls ?? {}).map(Number);
      return inboundRoots(metadata.namespace, spec.selector?.matchLabels ?? {}, ports);
    }
    case "AuthorizationPolicy":
    case "RequestAuthentication": {
      const { spec, metadata } = object as MeshObject<AuthorizationPolicySpec | RequestAuthenticationSpec>;
      return inboundRoots(metadata.namespace, spec.selector?.matchLabels ?? {}, []);
    }
    case "Gateway": {
      if (object.apiVersion.startsWith(`${GATEWAY_API_GROUP}/`)) {
        const { name, namespace } = object.metadata;
        return [gatewayRoot(namespace, { [GATEWAY_NAME_LABEL]: name })];
      }
      const { selector } = (object as MeshObject<GatewaySpec>).spec;
      return [gatewayRoot(object.metadata.namespace, selector)];
    }
    case "Sidecar": {
      const { spec, metadata } = object as MeshObject<SidecarSpec>;
      const ports = (spec.ingress ?? []).map(({ port }) => port.number);
      return inboundRoots(metadata.namespace, spec.workloadSelector?.labels ?? {}, ports);
    }
    case "ServiceRouter":
    case "ServiceSplitter":
    case "ServiceResolver":
      return chainRoots(reader, object);
    default:
      return [];
  }
}

/** A caller of the service that an entry of Consul's is about. */
function chainRoots(reader: MeshReader, { metadata }: MeshObject): TrialRoot[] {
  const view = client(metadata.namespace, {});
  return hostsOf([metadata.name], metadata.namespace, reader).flatMap((host) =>
    portsOf(reader, host).map((port) => ({ view, typeUrl: LISTENER_TYPE, name: formatAddress(host, port) })),
  );
}

function virtualServiceRoots(reader: MeshReader, object: MeshObject<VirtualServiceSpec>): TrialRoot[] {
  const roots = rootsOf(reader, object);
  return roots.flatMap((root) => [
    ...gatewayRoots(reader, root),
    ...viewsOf(object, root).flatMap((view) =>
      hostsOf(root.spec.hosts ?? [], root.metadata.namespace, reader).flatMap((host) =>
        portsOf(reader, host).map((port) => ({
          view,
          typeUrl: LISTENER_TYPE,
          name: formatAddress(host, port),
        })),
      ),
    ),
  ]);
}

/** Gateways that open the ports which an object is bound to. */
function gatewayRoots(
  reader: MeshReader,
  { spec, metadata }: MeshObject<VirtualServiceSpec>,
): readonly TrialRoot[] {
  const names = new Set(
    (spec.gateways ?? []).flatMap((one) => fullGatewayName(one, metadata.namespace) ?? []),
  );
  const all = reader.objects("networking.istio.io", "Gateway") as readonly MeshObject<GatewaySpec>[];
  return all
    .filter((gateway) => names.has(`${gateway.metadata.namespace}/${gateway.metadata.name}`))
    .slice(0, MAX_VIEWS)
    .map((gateway) => gatewayRoot(metadata.namespace, gateway.spec.selector));
}

function gatewayRoot(namespace: string, labels: Readonly<Record<string, string>> = {}): TrialRoot {
  const view = { ...client(namespace, labels), gateway: { trustedProxies: 0 } };
  return { view, typeUrl: LISTENER_TYPE, name: "virtualInbound" };
}

/** The object itself, or those that delegate to it. */
function rootsOf(
  reader: MeshReader,
  object: MeshObject<VirtualServiceSpec>,
): readonly MeshObject<VirtualServiceSpec>[] {
  if ((object.spec.hosts ?? []).length > 0) return [object];
  const { name, namespace } = object.metadata;
  const all = reader.objects(
    "networking.istio.io",
    "VirtualService",
  ) as readonly MeshObject<VirtualServiceSpec>[];
  const delegating = all.filter((other) =>
    (other.spec.http ?? []).some(
      ({ delegate }) =>
        delegate?.name === name && (delegate.namespace ?? other.metadata.namespace) === namespace,
    ),
  );
  return delegating.slice(0, MAX_HOSTS);
}

/** The object as it is tried: a delegate that nobody names is tried as if it had a host of its own. */
export function standIn(reader: MeshReader, object: MeshObject): MeshObject {
  if (object.kind !== "VirtualService") return object;
  const root = object as MeshObject<VirtualServiceSpec>;
  if ((root.spec.hosts ?? []).length > 0 || rootsOf(reader, root).length > 0) return object;
  return { ...root, spec: { ...root.spec, hosts: [`${ANY_LABEL}.example`] } };
}

/** Clients that the rules tell apart. */
function viewsOf(
  object: MeshObject<VirtualServiceSpec>,
  root: MeshObject<VirtualServiceSpec>,
): readonly ClientView[] {
  const namespace = namespaceOf(root);
  const views = new Map<string, ClientView>();
  const add = (inNamespace: string, labels: Readonly<Record<string, string>>): void => {
    if (views.size < MAX_VIEWS) views.set(JSON.stringify([inNamespace, labels]), client(inNamespace, labels));
  };
  add(namespace, {});
  for (const { spec } of new Set([root, object])) {
    for (const rule of [...(spec.http ?? []), ...(spec.tls ?? []), ...(spec.tcp ?? [])]) {
      for (const { sourceNamespace, sourceLabels } of rule.match ?? []) {
        add(sourceNamespace ?? namespace, sourceLabels ?? {});
      }
    }
  }
  return [...views.values()];
}

function destinationRuleRoots(reader: MeshReader, object: MeshObject<DestinationRuleSpec>): TrialRoot[] {
  const { spec, metadata } = object;
  const view = client(namespaceOf(object), spec.workloadSelector?.matchLabels ?? {});
  const subsets = ["", ...(spec.subsets ?? []).map(({ name }) => name)];
  return hostsOf([spec.host], metadata.namespace, reader).flatMap((host) =>
    portsOf(reader, host).flatMap((port) =>
      subsets.map((subset) => ({ view, typeUrl: CLUSTER_TYPE, name: `outbound|${port}|${subset}|${host}` })),
    ),
  );
}

function serviceEntryRoots(reader: MeshReader, object: MeshObject<ServiceEntrySpec>): TrialRoot[] {
  const view = client(namespaceOf(object), {});
  return hostsOf(object.spec.hosts, object.metadata.namespace, reader).flatMap((host) =>
    (object.spec.ports ?? [])
      .slice(0, MAX_PORTS)
      .map(({ number }) => ({ view, typeUrl: LISTENER_TYPE, name: formatAddress(host, number) })),
  );
}

function inboundRoots(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  ports: readonly number[],
): TrialRoot[] {
  const inbound: InboundPort[] = (ports.length === 0 ? [HTTP_PORT] : ports.slice(0, MAX_PORTS)).map(
    (port) => ({
      service: ANY_LABEL,
      namespace,
      servicePort: port,
      appPort: port,
      protocol: "http",
    }),
  );
  const view = { ...client(namespace, labels), inbound };
  return [{ view, typeUrl: LISTENER_TYPE, name: "virtualInbound" }];
}

function client(namespace: string, labels: Readonly<Record<string, string>>): ClientView {
  return { dialect: "tulle", namespace, mtls: true, labels, inbound: [] };
}

/** A namespace that sees the object: its own where that does. */
function namespaceOf({ metadata, spec }: MeshObject<{ readonly exportTo?: readonly string[] }>): string {
  const { exportTo = [] } = spec;
  const own = exportTo.length === 0 || exportTo.includes("*") || exportTo.includes(".");
  return own ? metadata.namespace : (exportTo.find((one) => one !== "~") ?? metadata.namespace);
}

function hostsOf(patterns: readonly string[], namespace: string, reader: MeshReader): readonly string[] {
  return patterns.slice(0, MAX_HOSTS).map((pattern) => {
    const written = pattern.toLowerCase();
    if (written === "*") return `${ANY_LABEL}.example`;
    if (written.startsWith("*")) return `${ANY_LABEL}${written.slice(1)}`;
    return expandHost(written, namespace, reader.settings.domainSuffix);
  });
}

/** Ports of a registered service, or of a ServiceEntry's host. */
function portsOf(reader: MeshReader, host: string): readonly number[] {
  const [name = "", namespace = ""] = host.split(".");
  const registered = reader.catalog.service(namespace, name);
  const entries = reader.objects(
    "networking.istio.io",
    "ServiceEntry",
  ) as readonly MeshObject<ServiceEntrySpec>[];
  const entry = entries.find(({ spec }) =>
    spec.hosts.some(
      (one) => one.toLowerCase() === host || (one.startsWith("*.") && host.endsWith(one.slice(1))),
    ),
  );
  const ports = registered?.ports ?? entry?.spec.ports ?? [];
  return ports.length === 0 ? [HTTP_PORT] : ports.slice(0, MAX_PORTS).map(({ number }) => number);
}
