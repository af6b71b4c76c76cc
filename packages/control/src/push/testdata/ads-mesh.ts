import { connect } from "node:http2";

import * as grpc from "@grpc/grpc-js";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Catalog, CatalogChange, CatalogService, Instance, MeshObject } from "@tulle/api";
import { Emitter, silentLogger, systemClock, type Clock, type Disposable } from "@tulle/base";
import { getHeader } from "@tulle/http";
import type { Translate } from "@tulle/translate";
import { CLUSTER_TYPE, ENDPOINT_TYPE, grpcServiceDefinition, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import { createConfigIndex, createMeshReader, type ConfigIndex } from "../../config/index.js";
import { startGrpcServer } from "../../grpc/index.js";
import { createMemoryStores, type Stores } from "../../stores/open.js";
import { AdsServer, type AdsServerOptions } from "../ads-server.js";

export const GROUP = "networking.istio.io";

/** A catalog that tests write. */
export class TestCatalog implements Catalog {
  readonly #services = new Map<string, CatalogService>();
  readonly #changes = new Emitter<CatalogChange>();
  readonly onChange = this.#changes.event;

  service(namespace: string, name: string): CatalogService | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  services(): Iterable<CatalogService> {
    return this.#services.values();
  }

  /** Sets a service's healthy instances by host; undefined deregisters it. */
  set(name: string, hosts: readonly string[] | undefined): void {
    if (hosts === undefined) this.#services.delete(`default/${name}`);
    else this.#services.set(`default/${name}`, testService(name, hosts));
    this.#changes.emit({ services: [{ namespace: "default", name }] });
  }
}

function testService(name: string, hosts: readonly string[]): CatalogService {
  return {
    name,
    namespace: "default",
    ports: [{ number: 80, name: "http", protocol: "http" }],
    portless: false,
    instances: hosts.map((host) => testInstance(name, host)),
  };
}

export function testInstance(service: string, host: string): Instance {
  return {
    id: `node/${service}-${host}`,
    service,
    namespace: "default",
    address: { host, port: 80 },
    protocol: "http",
    labels: {},
    serviceAccount: service,
    weight: 1,
    health: "passing",
  };
}

/**
 * A translation whose resources are short texts: endpoints `a=h1,h2` depend on the instances, the cluster on the
 * service's shape, listener and route on its shape and on all VirtualServices. Counts its calls.
 */
export function testTranslate(): { readonly translate: Translate; readonly calls: string[] } {
  const calls: string[] = [];
  const translate: Translate = (reader, view, typeUrl, name) => {
    calls.push(`${typeUrl.slice(typeUrl.lastIndexOf(".") + 1)} ${name}`);
    const service = reader.catalog.service("default", name);
    const shape = [`service:default/${name}`];
    const routing = [...shape, `objects:${GROUP}/VirtualService`];
    const routes = reader.objects(GROUP, "VirtualService");
    const dependencies = {
      [ENDPOINT_TYPE]: [`endpoints:default/${name}`],
      [CLUSTER_TYPE]: shape,
      [LISTENER_TYPE]: routing,
      [ROUTE_TYPE]: routing,
    }[typeUrl]!;
    if (service === undefined) return { resource: undefined, dependencies };
    const spec = routes.map((object) => (object.spec as { text: string }).text).join("+");
    const text = {
      [ENDPOINT_TYPE]: `${name}=${service.instances.map(({ address }) => address.host).join(",")}`,
      [CLUSTER_TYPE]: `cluster ${name} ${service.instances[0]?.serviceAccount ?? ""}`,
      [LISTENER_TYPE]: `listener ${name}`,
      [ROUTE_TYPE]: `route ${name} ${spec}`,
    }[typeUrl]!;
    if (text.includes("explode")) throw new Error("translation stumbled");
    return {
      resource: { typeUrl, name, version: `${view.dialect}:${text}`, bytes: new TextEncoder().encode(text) },
      dependencies,
      owners:
        typeUrl === ROUTE_TYPE ? routes.map(({ metadata }) => `VirtualService/default/${metadata.name}`) : [],
      warnings: [],
      remarks: [],
    };
  };
  return { translate, calls };
}

/** A control plane's xDS side over a memory store, on a real gRPC server. */
export interface TestMesh {
  readonly ads: AdsServer;
  readonly catalog: TestCatalog;
  readonly index: ConfigIndex;
  readonly calls: string[];
  /** Creates or replaces a VirtualService. */
  readonly apply: (name: string, text: string) => Promise<void>;
  readonly sotw: (options?: TestClientOptions) => TestClient<DiscoveryRequest, DiscoveryResponse>;
  readonly delta: (options?: TestClientOptions) => TestClient<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  /** A state-of-the-world client that subscribes and then never reads. */
  readonly unread: (
    typeUrl: string,
    resourceNames: readonly string[],
  ) => { readonly resetCode: number | undefined };
  readonly close: () => Promise<void>;
}

export interface TestClientOptions {
  /** Number of a client; each has its own node id. */
  readonly number?: number;
  readonly account?: string;
  /** Certificate's account; undefined = none. Default: the node's. */
  readonly certificate?: string | undefined;
  readonly userAgentName?: string;
}

/** When the test identities' certificates expire, after the clock's start. */
export const CERTIFICATE_TTL_MS = 600_000;

export async function startTestMesh(
  clock: Clock,
  options: Partial<Pick<AdsServerOptions, "warm" | "limits">> & { readonly anonymous?: boolean } = {},
): Promise<TestMesh> {
  const stores: Stores = createMemoryStores({ clock });
  const index = createConfigIndex(stores.resources, { clock, logger: silentLogger, random: () => 0 });
  const catalog = new TestCatalog();
  const { translate, calls } = testTranslate();
  const settings = {
    trustDomain: "cluster.local",
    domainSuffix: "cluster.local",
    rootNamespace: "istio-system",
  };
  const notAfter = clock.now() + CERTIFICATE_TTL_MS;
  const ads = new AdsServer({
    reader: createMeshReader({ settings, catalog, index }),
    translate,
    // Stands for the certificate: tests name its account in a header.
    identify: (call) => {
      const account = getHeader(call.metadata, "x-certificate");
      if (account === undefined) return undefined;
      const spiffeId = `spiffe://cluster.local/ns/default/sa/${account}`;
      return { spiffeId, namespace: "default", serviceAccount: account, notAfter };
    },
    warm: options.warm ?? (() => index.ready),
    catalogChanges: catalog.onChange,
    configChanges: index.onChange,
    clock,
    logger: silentLogger,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  await index.ready;
  const server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: undefined,
    methods: ads.methods({ anonymous: options.anonymous ?? false }),
    clock: systemClock,
  });
  const { port } = server;
  const clients = new Set<Disposable>();
  const track = <T extends Disposable>(client: T): T => {
    clients.add(client);
    return client;
  };
  const definition = grpcServiceDefinition(AggregatedDiscoveryService);
  return {
    ads,
    catalog,
    index,
    calls,
    async apply(name, text) {
      const key = { group: GROUP, kind: "VirtualService", namespace: "default", name };
      const object = testObject(name, text);
      const existing = await stores.resources.get(key);
      if (existing === undefined) await stores.resources.create(object, key);
      else await stores.resources.update(object, key, Number(existing.metadata.resourceVersion));
    },
    sotw: (client = {}) =>
      track(
        new TestClient<DiscoveryRequest, DiscoveryResponse>(
          port,
          definition.streamAggregatedResources,
          (init) => create(DiscoveryRequestSchema, init as MessageInitShape<typeof DiscoveryRequestSchema>),
          client,
        ),
      ),
    delta: (client = {}) =>
      track(
        new TestClient<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(
          port,
          definition.deltaAggregatedResources,
          (init) =>
            create(DeltaDiscoveryRequestSchema, init as MessageInitShape<typeof DeltaDiscoveryRequestSchema>),
          client,
        ),
      ),
    unread(typeUrl, resourceNames) {
      const request = definition.streamAggregatedResources.requestSerialize(
        create(DiscoveryRequestSchema, {
          node: testNode(1, "web", "tulle"),
          typeUrl,
          resourceNames: [...resourceNames],
        }),
      ) as Buffer;
      const session = connect(`http://127.0.0.1:${port}`);
      session.on("error", () => undefined);
      track({ [Symbol.dispose]: () => session.destroy() });
      const stream = session.request({
        ":method": "POST",
        ":path": definition.streamAggregatedResources.path,
        "content-type": "application/grpc",
        te: "trailers",
        "x-certificate": "web",
      });
      const client = { resetCode: undefined as number | undefined };
      stream.on("error", () => undefined);
      stream.on("close", () => {
        client.resetCode = stream.rstCode;
      });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(request.length, 1);
      stream.write(Buffer.concat([head, request]));
      return client;
    },
    async close() {
      for (const client of clients) client[Symbol.dispose]();
      ads[Symbol.dispose]();
      index[Symbol.dispose]();
      await server.close(0);
      await stores.close();
    },
  };
}

function testObject(name: string, text: string): MeshObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: "VirtualService",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: { text },
  };
}

function testNode(number: number, account: string, userAgentName: string) {
  return {
    id: `sidecar~127.0.0.1~web-${number}.default~default.svc.cluster.local`,
    userAgentName,
    metadata: { NAMESPACE: "default", SERVICE_ACCOUNT: account },
  };
}

interface ResponseShape {
  readonly typeUrl: string;
  readonly nonce: string;
}

/** One xDS stream, written by hand: what came is kept in `received`. */
export class TestClient<Request, Response extends ResponseShape> implements Disposable {
  readonly received: Response[] = [];
  readonly call: grpc.ClientDuplexStream<Request, Response>;
  /** How the call ended. */
  ended: grpc.StatusObject | undefined;
  readonly #client: grpc.Client;
  readonly #create: (init: object) => Request;
  readonly #node: object;
  #first = true;

  constructor(
    port: number,
    method: {
      readonly path: string;
      readonly requestSerialize: (value: Request) => Buffer;
      readonly responseDeserialize: (bytes: Buffer) => Response;
    },
    createRequest: (init: object) => Request,
    options: TestClientOptions,
  ) {
    const { number = 1, account = "web", userAgentName = "tulle" } = options;
    const certificate = "certificate" in options ? options.certificate : account;
    this.#create = createRequest;
    this.#node = testNode(number, account, userAgentName);
    const metadata = new grpc.Metadata();
    if (certificate !== undefined) metadata.set("x-certificate", certificate);
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    this.call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
    );
    this.call.on("data", (response: Response) => this.received.push(response));
    this.call.on("status", (status: grpc.StatusObject) => {
      this.ended = status;
    });
    this.call.on("error", () => undefined);
  }

  send(init: object): void {
    this.call.write(this.#create(this.#first ? { node: this.#node, ...init } : init));
    this.#first = false;
  }

  /** ACKs a response, or NACKs it with `error`. */
  settle(response: ResponseShape, init: object = {}, error?: string): void {
    this.send({
      typeUrl: response.typeUrl,
      responseNonce: response.nonce,
      ...(error === undefined ? {} : { errorDetail: { code: 3, message: error } }),
      ...init,
    });
  }

  [Symbol.dispose](): void {
    this.call.cancel();
    this.#client.close();
  }
}

/** The resources of a response as texts. */
export function texts(response: DiscoveryResponse | DeltaDiscoveryResponse | undefined): readonly string[] {
  const decoder = new TextDecoder();
  return (response?.resources ?? []).map((each) =>
    decoder.decode("value" in each ? each.value : each.resource?.value),
  );
}
