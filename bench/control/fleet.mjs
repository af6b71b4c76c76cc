// Many proxies in one process, as the control plane sees them: each with a TLS connection and a delta ADS stream of its
// own, subscribed to what a sidecar that calls `servicesEach` services is subscribed to. They compile nothing. Commands are
// lines of JSON on standard input, answers lines on standard output.
import { createInterface } from "node:readline";

import { create } from "@bufbuild/protobuf";
import { connectControlPlane, createWorkloadIdentity } from "@tulle/agent";
import { silentLogger, systemClock } from "@tulle/base";
import { createLoadTable, createSnapshotSource } from "@tulle/engine";
import { ENDPOINT_TYPE, grpcServiceDefinition, SEND_ORDER } from "@tulle/xds";
import { NodeSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import { DeltaDiscoveryRequestSchema } from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

const { server, first, count, services, servicesEach, stateDirectory } = JSON.parse(process.argv[2]);
const METHOD = grpcServiceDefinition(AggregatedDiscoveryService).deltaAggregatedResources;
const CONNECTS_AT_ONCE = 64;
const now = () => performance.timeOrigin + performance.now();

const info = await (await fetch(`${server}/tulle/v1/info`)).json();
const target = {
  address: info.addresses.xds,
  rootCertificatePem: info.rootCertificatePem,
  trustDomain: info.trustDomain,
};
const svid = await join();
const template = await learn(services[0]);

async function join() {
  const body = JSON.stringify({ namespace: "default", serviceAccount: "fleet" });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server}/tulle/v1/join-tokens`, { method: "POST", body, headers });
  const { token } = await answer.json();
  const identity = await createWorkloadIdentity({
    id: { trustDomain: info.trustDomain, namespace: "default", serviceAccount: "fleet" },
    stateDirectory,
    controlPlane: target,
    joinToken: token,
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
  });
  return identity.ready();
}

function nodeOf(index) {
  return create(NodeSchema, {
    id: `sidecar~127.0.0.1~fleet-${index}.default~default.svc.cluster.local`,
    userAgentName: "tulle",
    metadata: {
      NAMESPACE: "default",
      SERVICE_ACCOUNT: "fleet",
      WORKLOAD_NAME: "fleet",
      LABELS: {},
      INBOUND: [],
      ADMIN: "",
    },
  });
}

/** Names of each type that a proxy wants for one service: found out by one that compiles what it gets. */
async function learn(service) {
  const source = createSnapshotSource({ load: createLoadTable() });
  const roots = [`${service}.default.svc.cluster.local:80`];
  const wanted = new Map();
  const client = connectControlPlane(target, svid, systemClock);
  await new Promise((resolve, reject) => {
    let first = true;
    const subscribe = () => {
      let asked = false;
      for (const [typeUrl, names] of source.wanted(roots)) {
        const before = wanted.get(typeUrl) ?? new Set();
        const added = [...names].filter((name) => !before.has(name));
        if (added.length === 0) continue;
        wanted.set(typeUrl, new Set([...before, ...added]));
        const node = first ? nodeOf(-1) : undefined;
        first = false;
        asked = true;
        stream.write(create(DeltaDiscoveryRequestSchema, { node, typeUrl, resourceNamesSubscribe: added }));
      }
      if (!asked && source.current.outbound(roots[0])?.warm) resolve();
    };
    const stream = client.call(METHOD, {
      onMessage: ({ typeUrl, nonce, resources, removedResources }) => {
        source.apply([
          ...resources.map(({ name, version, resource }) => ({
            typeUrl,
            name,
            version,
            bytes: resource?.value,
          })),
          ...removedResources.map((name) => ({ typeUrl, name, version: "", bytes: undefined })),
        ]);
        stream.write(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
        subscribe();
      },
      onWritable: () => undefined,
      onEnd: (status, message) => reject(new Error(`${status} ${message}`)),
    });
    subscribe();
  });
  client[Symbol.dispose]();
  return wanted;
}

/** Waits until all have had something. */
class Count {
  constructor(of) {
    this.times = [];
    this.done = new Promise((resolve) => (this.resolve = resolve));
    this.of = of;
  }

  hit() {
    this.times.push(now());
    if (this.times.length === this.of) this.resolve();
  }
}

let complete = new Count(count);
let changed = new Count(count);
const shared = services[0];

class Proxy {
  #index;
  #names = new Map();
  #versions = new Map();
  #missing = new Set();
  #client;

  constructor(index) {
    this.#index = index;
    // The first is everybody's; the others differ.
    const mine = Array.from({ length: servicesEach }, (_, i) =>
      i === 0 ? shared : services[1 + ((index * (servicesEach - 1) + i) % (services.length - 1))],
    );
    for (const [typeUrl, names] of template) {
      const all = mine.flatMap((service) => [...names].map((name) => name.replaceAll(shared, service)));
      this.#names.set(typeUrl, [...new Set(all)]);
    }
  }

  disconnect() {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }

  /** Resolves when it has everything. `fresh`: it knows nothing from before. */
  connect(fresh) {
    if (fresh) this.#versions.clear();
    this.#missing = new Set(
      [...this.#names].flatMap(([type, names]) => names.map((name) => `${type} ${name}`)),
    );
    for (const known of this.#versions.keys()) this.#missing.delete(known);
    this.#client = connectControlPlane(target, svid, systemClock);
    const stream = this.#client.call(METHOD, {
      onMessage: (response) => this.#onMessage(stream, response),
      onWritable: () => undefined,
      onEnd: (status, message) => process.stderr.write(`fleet-${this.#index}: ${status} ${message}\n`),
    });
    let node = nodeOf(this.#index);
    for (const typeUrl of SEND_ORDER) {
      const names = this.#names.get(typeUrl) ?? [];
      if (names.length === 0) continue;
      const initialResourceVersions = {};
      for (const name of names) {
        const version = this.#versions.get(`${typeUrl} ${name}`);
        if (version !== undefined) initialResourceVersions[name] = version;
      }
      stream.write(
        create(DeltaDiscoveryRequestSchema, {
          node,
          typeUrl,
          resourceNamesSubscribe: names,
          initialResourceVersions,
        }),
      );
      node = undefined;
    }
  }

  #onMessage(stream, { typeUrl, nonce, resources, removedResources }) {
    received += resources.length;
    stream.write(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
    const before = this.#missing.size;
    let isShared = false;
    for (const { name, version, resource } of resources) {
      bytes += resource?.value.length ?? 0;
      this.#missing.delete(`${typeUrl} ${name}`);
      this.#versions.set(`${typeUrl} ${name}`, version);
      isShared ||= typeUrl === ENDPOINT_TYPE && name.includes(`|${shared}.`);
    }
    for (const name of removedResources) this.#missing.delete(`${typeUrl} ${name}`);
    if (before > 0 && this.#missing.size === 0) complete.hit();
    else if (isShared && before === 0) changed.hit();
  }
}

let received = 0;
let bytes = 0;
const proxies = Array.from({ length: count }, (_, index) => new Proxy(first + index));

const COMMANDS = {
  /** Everybody connects; answers when everybody has everything (`fresh`), or at once. */
  async connect({ fresh }) {
    complete = new Count(count);
    received = 0;
    bytes = 0;
    const start = now();
    for (let i = 0; i < proxies.length; i += CONNECTS_AT_ONCE) {
      for (const proxy of proxies.slice(i, i + CONNECTS_AT_ONCE)) proxy.connect(fresh);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (fresh) await complete.done;
    return { start, end: complete.times.at(-1) ?? start, received, bytes };
  },
  disconnect() {
    for (const proxy of proxies) proxy.disconnect();
    return {};
  },
  /** From now on changes of the endpoints of the service that all have are counted. */
  arm() {
    changed = new Count(count);
    received = 0;
    bytes = 0;
    return {};
  },
  /** Answers when everybody has acknowledged one. */
  async changed() {
    await changed.done;
    return { times: changed.times, received, bytes };
  },
};

process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  const answer = await COMMANDS[command](options);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
