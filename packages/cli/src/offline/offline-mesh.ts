import type { Instance, MeshObject } from "@tulle/api";
import {
  applyHeaders,
  createLoadTable,
  explain,
  INBOUND_LISTENER,
  type EngineRequest,
  type Explanation,
  type Owner,
  type Question,
  type Snapshot,
  type SlotTable,
} from "@tulle/engine";
import { MeshError } from "@tulle/base";
import { spiffeId, type ClientView, type MeshReader, type MeshSettings } from "@tulle/translate";

import { gatewayLabels } from "../gateway-labels.js";
import { createCatalog } from "./catalog.js";
import type { WrittenMesh, WrittenMeshObject } from "./read-mesh.js";
import { SidecarSnapshot } from "./sidecar-snapshot.js";

/** Istio's defaults, as `tulle up` has them. */
const SETTINGS: MeshSettings = {
  trustDomain: "cluster.local",
  domainSuffix: "cluster.local",
  rootNamespace: "istio-system",
  accessLog: false,
};

/** Who calls. */
export interface Caller {
  readonly service: string;
  readonly namespace: string;
}

/** What is asked of a mesh of files. */
export interface OfflineQuestion {
  /** Undefined: somebody in `namespace` of whom nothing else is known. */
  readonly from: Caller | undefined;
  readonly namespace: string;
  /** The gateway that it comes to, where that is no workload's sidecar; `from` is undefined then. */
  readonly gateway?: Caller | undefined;
  readonly request: EngineRequest;
  readonly requestId?: string | undefined;
}

/** A mesh of files: services and configuration as written, decided by the very code of a mesh that is up. */
export class OfflineMesh {
  readonly #reader: MeshReader;
  readonly #written: readonly WrittenMeshObject[];
  readonly #instances: readonly Instance[];
  readonly #load = createLoadTable();
  readonly #snapshots = new Map<string, SidecarSnapshot>();

  constructor({ objects, services }: Pick<WrittenMesh, "objects" | "services">) {
    const catalog = createCatalog(services);
    this.#instances = [...catalog.services()].flatMap(({ instances }) => instances);
    this.#written = objects;
    const sorted = objects.map(({ object }) => object).sort(byName);
    this.#reader = {
      settings: SETTINGS,
      catalog,
      objects: (group, kind) =>
        sorted.filter((object) => object.kind === kind && groupOf(object.apiVersion) === group),
    };
  }

  /** The way of a request: through the caller's sidecar or a gateway, and then through the sidecar of the instance that it goes to. */
  explain(question: OfflineQuestion): Explanation {
    const { request, requestId, gateway } = question;
    const asked: Question = { direction: "outbound", request, requestId };
    const explanation =
      gateway === undefined
        ? this.#explain(this.#sidecar(this.#viewOf(question)), request.authority, asked)
        : this.#explain(this.#gateway(gateway), INBOUND_LISTENER, asked);
    const next = this.#explainInbound(explanation, { ...question, from: gateway ?? question.from });
    return next === undefined ? explanation : { ...explanation, next };
  }

  /** A gateway as `tulle gateway` runs it, with nothing in front of it. */
  #gateway({ service, namespace }: Caller): SidecarSnapshot {
    const [known] = this.#reader.catalog.service(namespace, service)?.instances ?? [];
    const sidecar = this.#sidecar({
      dialect: "tulle",
      namespace,
      mtls: true,
      labels: { ...Object.fromEntries(gatewayLabels(service)), ...known?.labels },
      serviceAccount: known?.serviceAccount ?? service,
      inbound: [],
      gateway: { trustedProxies: 0 },
    });
    if (sidecar.with(INBOUND_LISTENER).inbound(INBOUND_LISTENER) !== undefined) return sidecar;
    const why = `no Gateway in the files opens a port of the gateway ${namespace}/${service}: its labels are ${gatewayLabels(
      service,
    )
      .map(([key, value]) => `${key}=${value}`)
      .join(", ")}`;
    throw new MeshError("invalid", "CLI_BAD_CALLER", why);
  }

  /** The caller's snapshot, with what carries calls to `authority`. */
  outbound(
    from: Pick<OfflineQuestion, "from" | "namespace">,
    authority: string,
  ): {
    readonly snapshot: Snapshot;
    readonly load: SlotTable;
  } {
    const sidecar = this.#sidecar(this.#viewOf(from));
    return { snapshot: sidecar.with(authority), load: sidecar.load };
  }

  /** What translation and the sidecars that were asked so far complain of. */
  get warnings(): readonly string[] {
    return [...new Set([...this.#snapshots.values()].flatMap(({ warnings }) => [...warnings]))].sort();
  }

  /** Whether the mesh has this service. */
  has({ service, namespace }: Caller): boolean {
    return this.#reader.catalog.service(namespace, service) !== undefined;
  }

  /** `reviews.yaml:14`, where an object or its rule is written. */
  locate(owner: Owner): string | undefined {
    const found = this.#written.find(
      ({ object }) =>
        object.kind === owner.kind &&
        object.apiVersion === owner.apiVersion &&
        object.metadata.name === owner.name &&
        object.metadata.namespace === owner.namespace,
    );
    if (found === undefined) return undefined;
    const { source, line } = found.at(owner.rule === "" ? "metadata" : `spec.${owner.rule}`);
    return `${source}:${line}`;
  }

  #explain(sidecar: SidecarSnapshot, listener: string, question: Question): Explanation {
    const snapshot = sidecar.with(listener);
    return explain(
      { snapshot, load: sidecar.load, now: 0 },
      { ...question, locate: (owner) => this.locate(owner) },
    );
  }

  #explainInbound(outbound: Explanation, { from, namespace }: OfflineQuestion): Explanation | undefined {
    const { result, upstream, route, request } = outbound;
    const address = outbound.endpoints.find(({ chosen }) => chosen)?.address;
    if (result.kind !== "forward" || upstream === undefined || address === undefined) return undefined;
    const instance = this.#instances.find(({ meshAddress }) => address === keyOf(meshAddress));
    if (instance === undefined) return undefined;
    const headers = request.headers.flatMap(parseLine);
    applyHeaders(headers, route?.requestHeaders ?? []);
    const { tls } = upstream;
    const caller = from && this.#reader.catalog.service(from.namespace, from.service)?.instances[0];
    const account = from === undefined ? "default" : this.#accountOf(from);
    return this.#explain(this.#sidecar(inboundView(instance)), INBOUND_LISTENER, {
      direction: "inbound",
      request: {
        method: request.method,
        path: upstream.path,
        authority: upstream.authority,
        scheme: tls === undefined ? "http" : "https",
        headers,
      },
      requestId: request.requestId,
      remoteAddress: caller === undefined ? undefined : keyOf(caller.meshAddress ?? caller.address),
      localAddress: address,
      ...(tls === undefined
        ? {}
        : {
            serverName: tls.serverName,
            principal: spiffeId(SETTINGS.trustDomain, from?.namespace ?? namespace, account),
          }),
    });
  }

  #accountOf({ service, namespace }: Caller): string {
    const [instance] = this.#reader.catalog.service(namespace, service)?.instances ?? [];
    return instance?.serviceAccount ?? service;
  }

  #viewOf({ from, namespace }: Pick<OfflineQuestion, "from" | "namespace">): ClientView {
    const known = from && this.#reader.catalog.service(from.namespace, from.service)?.instances[0];
    return {
      dialect: "tulle",
      namespace: from?.namespace ?? namespace,
      mtls: known === undefined || known.meshAddress !== undefined,
      labels: known?.labels ?? {},
      inbound: [],
    };
  }

  #sidecar(view: ClientView): SidecarSnapshot {
    const key = JSON.stringify(view);
    let sidecar = this.#snapshots.get(key);
    if (sidecar === undefined) {
      sidecar = new SidecarSnapshot(this.#reader, view, this.#load);
      this.#snapshots.set(key, sidecar);
    }
    return sidecar;
  }
}

function inboundView({ service, namespace, labels, servicePort, address, protocol }: Instance): ClientView {
  const port = {
    service,
    namespace,
    servicePort: servicePort ?? address.port,
    appPort: address.port,
    protocol,
  };
  return { dialect: "tulle", namespace, mtls: true, labels, inbound: [port] };
}

function keyOf(address: Instance["meshAddress"]): string {
  return address === undefined ? "" : `${address.host}:${address.port}`;
}

function parseLine(line: string): readonly [string, string] {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2)];
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

function byName({ metadata: left }: MeshObject, { metadata: right }: MeshObject): number {
  if (left.namespace !== right.namespace) return left.namespace < right.namespace ? -1 : 1;
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
