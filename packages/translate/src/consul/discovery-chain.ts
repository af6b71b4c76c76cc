import { configEntryContent, type ConsulProtocol } from "@tulle/api";
import { DEFAULT_CONNECT_TIMEOUT_MS } from "../cluster-policy.js";
import type { MeshReader } from "../contract.js";
import { destinationRuleFor, effectivePolicy } from "../destination-rules.js";
import { hash64 } from "../hash.js";
import { fullHost, type ServiceId } from "../hosts.js";
import { defaultPort, isHttp } from "../mesh-service.js";
import { serverName } from "../names.js";
import { resolveHost } from "../services.js";
import { Translation } from "../translation.js";
import {
  chainOf,
  resolvedTarget,
  type Chain,
  type ChainRoute,
  type ChainTarget,
  type Resolved,
} from "./chain.js";
import { defaultProtocol, entriesOf } from "./entries.js";

/** What is asked of a discovery chain. */
export interface ChainQuestion {
  readonly service: string;
  readonly namespace: string;
  /** Consul's name of this mesh. */
  readonly datacenter: string;
  readonly override?: {
    readonly protocol?: ConsulProtocol;
    /** Go duration. */
    readonly connectTimeout?: string;
  };
}

type Json = Readonly<Record<string, unknown>>;

/** There is one admin partition. */
const PARTITION = "default";

/** The discovery chain of a service as Consul's API answers it (`GET /v1/discovery-chain/:service`), without its envelope. */
export function discoveryChain(reader: MeshReader, question: ChainQuestion): Json {
  return new ChainAnswer(reader, question).json();
}

class ChainAnswer {
  readonly #t: Translation;
  readonly #question: ChainQuestion;
  readonly #id: ServiceId;
  readonly #nodes: Record<string, Json> = {};
  readonly #targets: Record<string, Json> = {};

  constructor(reader: MeshReader, question: ChainQuestion) {
    const { namespace } = question;
    this.#t = new Translation(reader, { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] });
    this.#question = question;
    this.#id = { namespace, name: question.service.toLowerCase() };
  }

  json(): Json {
    const { override, datacenter } = this.#question;
    const protocol = override?.protocol ?? this.#protocol();
    const chain = chainOf(this.#t, this.#id, { http: protocol !== "tcp" });
    const start = this.#start(chain, protocol);
    return {
      ServiceName: this.#id.name,
      Namespace: this.#id.namespace,
      Partition: PARTITION,
      Datacenter: datacenter,
      ...(override !== undefined && {
        CustomizationHash: hash64(
          Uint8Array.from(JSON.stringify(override), (character) => character.charCodeAt(0)),
        ).slice(0, 8),
      }),
      ...(chain.routes.length === 0 && { Default: true }),
      Protocol: protocol,
      StartNode: start,
      Nodes: this.#nodes,
      Targets: this.#targets,
    };
  }

  /** As it is declared; what is found out from each connection may be routed, so it is HTTP where somebody does. */
  #protocol(): string {
    const { service } = resolveHost(this.#t, this.#host(this.#id), this.#id.namespace);
    const port = service && defaultPort(service);
    const declared = port?.protocol ?? defaultProtocol(this.#t, this.#id) ?? "auto";
    if (declared !== "auto") return isHttp(declared) ? declared : "tcp";
    const { router, splitter } = entriesOf(this.#t, this.#id);
    return router === undefined && splitter === undefined ? "tcp" : "http";
  }

  #start({ id, routes }: Chain, protocol: string): string {
    const [first] = routes;
    if (first === undefined) return this.#resolver(resolvedTarget(this.#t, id));
    if (protocol === "tcp" || entriesOf(this.#t, id).router === undefined) return this.#next(first);
    const name = `${id.name}.${id.namespace}.${PARTITION}`;
    const node = `router:${name}`;
    this.#nodes[node] = {
      Type: "router",
      Name: name,
      Routes: routes.map((route) => ({
        Definition: configEntryContent({ ...(route.written ?? this.#rest(id)) }),
        NextNode: this.#next(route),
      })),
    };
    return node;
  }

  /** What a router does with requests that none of its routes is for. */
  #rest(id: ServiceId) {
    return {
      match: { http: { pathPrefix: "/" } },
      destination: { service: id.name, namespace: id.namespace, partition: PARTITION },
    };
  }

  #next({ splitter, parts }: ChainRoute): string {
    const [only] = parts;
    if (splitter === undefined && only !== undefined) return this.#resolver(only.target);
    const { name: service, namespace } = splitter ?? this.#id;
    const name = `${service}.${namespace}.${PARTITION}`;
    const node = `splitter:${name}`;
    this.#nodes[node] ??= {
      Type: "splitter",
      Name: name,
      Splits: parts.map(({ written, weight, target }) => ({
        Definition: configEntryContent({ ...written }),
        Weight: Math.round(weight * 10_000) / 10_000,
        NextNode: this.#resolver(target),
      })),
    };
    return node;
  }

  #resolver(target: Resolved): string {
    const id = this.#target(target);
    const node = `resolver:${id}`;
    const { spec } = target.resolver ?? {};
    this.#nodes[node] ??= {
      Type: "resolver",
      Name: id,
      Resolver: {
        ...(spec === undefined && { Default: true }),
        ConnectTimeout: this.#connectTimeout(target),
        ...(spec?.requestTimeout !== undefined && { RequestTimeout: spec.requestTimeout }),
        Target: id,
        ...(target.failover.length > 0 && {
          Failover: { Targets: target.failover.map((other) => this.#target(other)) },
        }),
      },
      ...(spec?.loadBalancer !== undefined && { LoadBalancer: configEntryContent({ ...spec.loadBalancer }) }),
    };
    return node;
  }

  #target(target: ChainTarget): string {
    const { name, namespace } = target.id;
    const own = `${name}.${namespace}.${PARTITION}.${this.#question.datacenter}`;
    const id = target.subset === "" ? own : `${target.subset}.${own}`;
    const { resolver } = entriesOf(this.#t, target.id);
    const subset = resolver?.spec.subsets?.[target.subset] ?? {};
    const host = this.#host(target.id);
    const { service } = resolveHost(this.#t, host, namespace);
    const port = service && defaultPort(service);
    this.#targets[id] ??= {
      ID: id,
      Service: name,
      ...(target.subset !== "" && { ServiceSubset: target.subset }),
      Namespace: namespace,
      Partition: PARTITION,
      Datacenter: this.#question.datacenter,
      MeshGateway: {},
      Subset: target.subset === "" ? {} : configEntryContent({ ...subset }),
      ConnectTimeout: this.#connectTimeout(target),
      ...(port !== undefined && { SNI: serverName(host, port.number), Name: serverName(host, port.number) }),
    };
    return id;
  }

  #connectTimeout({ id, subset }: ChainTarget): string {
    const { override } = this.#question;
    if (override?.connectTimeout !== undefined) return override.connectTimeout;
    const host = this.#host(id);
    const { service } = resolveHost(this.#t, host, id.namespace);
    const rule = destinationRuleFor(
      this.#t,
      service ?? { host, namespace: id.namespace, ports: [], portless: true },
    );
    const { connectionPool } = effectivePolicy(this.#t, rule, subset, 0);
    return connectionPool?.tcp?.connectTimeout ?? `${DEFAULT_CONNECT_TIMEOUT_MS / 1000}s`;
  }

  #host(id: ServiceId): string {
    return fullHost(id, this.#t.settings.domainSuffix);
  }
}
