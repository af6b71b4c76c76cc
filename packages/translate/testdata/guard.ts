import type { JsonObject } from "@bufbuild/protobuf";
import {
  admit,
  admitConnection,
  AdmissionProgress,
  createLoadTable,
  createSnapshotSource,
  route,
  type ConnectionFacts,
  type EngineRequest,
  type Facts,
  type InboundChain,
  type Judgement,
} from "@tulle/engine";
import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";
import type { ClientView, MeshSettings } from "../src/contract.js";
import { translate } from "../src/translate.js";
import { CLIENT, instance, mesh, SETTINGS } from "./mesh.js";

/** Who asks, and for what; the rest is ordinary. */
export interface Caller {
  /** SPIFFE id without `spiffe://`; undefined = in plaintext. */
  readonly principal?: string;
  readonly from?: string;
  /** Of whom a proxy speaks; default: `from`. */
  readonly client?: string;
  readonly serverName?: string;
  /** Redirected from there; default: to the listener itself. */
  readonly port?: number;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly string[];
  /** Claims of a verified token. */
  readonly claims?: JsonObject;
}

/** The inbound side of one workload. */
export interface Guard {
  /** `200`, or the status and details of a refusal. */
  http(caller: Caller): string;
  /** `open`, or the details of a refusal. */
  tcp(caller: Caller): string;
  /** What was only noted of the last request or connection. */
  readonly noted: readonly Judgement[];
}

export const ALICE = "cluster.local/ns/default/sa/alice";

/** A workload `reviews` of `default` with labels `app: reviews`, its port 9080 for HTTP and 9090 for bytes. */
export const WORKLOAD: ClientView = {
  ...CLIENT,
  labels: { app: "reviews" },
  inbound: [
    { service: "reviews", namespace: "default", servicePort: 80, appPort: 9080, protocol: "http" },
    { service: "reviews-tcp", namespace: "default", servicePort: 9090, appPort: 9090, protocol: "tcp" },
  ],
};

/** The policies of some YAML, as the engine carries them out for a workload. */
export function guardOf(
  yaml: string,
  view: ClientView = WORKLOAD,
  settings: Partial<MeshSettings> = {},
): Guard {
  const at = mesh([instance({ service: "reviews", servicePort: 80 })], yaml, { ...SETTINGS, ...settings });
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const give = (typeUrl: string, name: string): void => {
    const { resource } = translate(at.reader, view, typeUrl, name);
    if (resource === undefined) throw new Error(`${name} means nothing`);
    const rejections = source.apply([resource]);
    if (rejections.length > 0) throw new Error(JSON.stringify(rejections));
  };
  give(LISTENER_TYPE, "virtualInbound");
  for (const name of source.wanted(["virtualInbound"]).get(CLUSTER_TYPE) ?? []) give(CLUSTER_TYPE, name);
  const noted: Judgement[] = [];
  return {
    noted,
    http: (caller) => {
      const http = chainOf(source.current.inbound("virtualInbound")?.chains ?? [], caller, "http").http!;
      const facts = factsOf(caller);
      const decision = { snapshot: source.current, load, now: 0, entropy: 0 };
      const routed = route(decision, http, facts.request);
      if (routed.kind === "no-route") return "404";
      const progress = new AdmissionProgress();
      const admission = admit(decision, http, routed, facts, progress);
      noted.splice(0, noted.length, ...progress.judged);
      if (admission.kind === "continue") return "200";
      return admission.kind === "reply" ? `${admission.status} ${admission.details}` : admission.kind;
    },
    tcp: (caller) => {
      const tcp = chainOf(source.current.inbound("virtualInbound")?.chains ?? [], caller, "tcp").tcp!;
      const { connection, principal, remoteAddress } = factsOf(caller);
      const judgement = admitConnection(tcp, connection, { principal, remoteAddress });
      noted.splice(0, noted.length, ...(judgement?.judged ?? []));
      if (judgement?.need !== undefined) return `asks ${judgement.need.asks}`;
      return judgement?.refusal?.details ?? "open";
    },
  };
}

function chainOf(chains: readonly InboundChain[], caller: Caller, protocol: "http" | "tcp"): InboundChain {
  const transport = caller.principal === undefined ? "plaintext" : "mtls";
  const found = chains.find(
    (chain) =>
      chain[protocol] !== undefined &&
      chain.transport === transport &&
      (caller.port === undefined || chain.destinationPort === caller.port),
  );
  if (found === undefined) throw new Error(`no chain takes ${JSON.stringify(caller)}`);
  return found;
}

function factsOf(caller: Caller): Facts & { readonly connection: ConnectionFacts } {
  const from = caller.from ?? "10.0.0.9";
  const request: EngineRequest = {
    method: caller.method ?? "GET",
    path: caller.path ?? "/",
    authority: caller.host ?? "reviews:80",
    scheme: "http",
    headers: [...(caller.headers ?? [])],
    ...(caller.claims !== undefined && {
      metadata: new Map([["envoy.filters.http.jwt_authn", { payload: caller.claims }]]),
    }),
  };
  const client = caller.client ?? from;
  return {
    request,
    principal: caller.principal === undefined ? undefined : `spiffe://${caller.principal}`,
    remoteAddress: client.includes(":") ? `[${client}]:40000` : `${client}:40000`,
    connection: {
      sourceAddress: from,
      destinationAddress: "10.0.0.7",
      destinationPort: caller.port ?? 15_006,
      serverName: caller.serverName ?? "",
    },
  };
}

/** A policy of the namespace `default`; `rest` is its spec in YAML's flow style, without braces. */
export function policy(name: string, rest: string, metadata = ""): string {
  return (
    `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n` +
    `metadata: {name: ${name}, namespace: default${metadata === "" ? "" : `, ${metadata}`}}\nspec: {${rest}}\n`
  );
}
