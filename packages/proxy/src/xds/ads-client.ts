import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  Backoff,
  MutableDisposable,
  VERSION,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import type { ResourceChange, SnapshotSource } from "@tulle/engine";
import type { GrpcCall, GrpcClient } from "@tulle/http/socket";
import { grpcServiceDefinition, RESOLVED_NAMES_TYPE, SEND_ORDER } from "@tulle/xds";
import { NodeSchema, type Node } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { StatusSchema } from "@tulle/xds/gen/google/rpc/status_pb.js";

import type { MetricsRegistry } from "../telemetry/metrics.js";

const RECONNECT_MIN_MS = 200;
const RECONNECT_MAX_MS = 5000;
/** google.rpc.Code.INVALID_ARGUMENT, the code of a NACK. */
const INVALID_ARGUMENT = 3;

export interface AdsClientOptions {
  /** Makes a connection with the workload's current certificate. */
  readonly connect: () => GrpcClient;
  readonly node: { readonly id: string; readonly metadata: JsonObject };
  readonly configuration: SnapshotSource;
  /** Names of the listeners that everything else is found from. Asked again after every change. */
  readonly roots: () => Iterable<string>;
  /** The configuration has changed. */
  readonly onChanged: () => void;
  /** There is a new connection, which other streams may be on beside this one's. It ends when this one's does. */
  readonly onConnection?: (client: GrpcClient) => void;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** How the connection to the control plane stands. */
export interface AdsStatus {
  readonly connected: boolean;
  /** Why the last stream ended; "" when none has. */
  readonly lastError: string;
  /** Newest acknowledged and refused responses by type URL. */
  readonly types: ReadonlyMap<
    string,
    { readonly acked: number; readonly nacked: number; readonly error: string }
  >;
}

/**
 * The proxy's side of ADS, delta variant (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol): subscribes
 * by name to what the configuration refers to, applies what comes and answers each response with ACK or NACK. A broken
 * stream is made again with back-off; versions that are here already are told, so that only changes are sent.
 */
export class AdsClient implements Disposable {
  readonly #options: AdsClientOptions;
  readonly #node: Node;
  readonly #backoff: Backoff;
  readonly #retry = new MutableDisposable<Timer>();
  readonly #types = new Map<string, { acked: number; nacked: number; error: string }>();
  #client: GrpcClient | undefined;
  #stream: GrpcCall<DeltaDiscoveryRequest> | undefined;
  #firstRequest = true;
  /** Names subscribed to on the current stream. */
  #subscribed = new Map<string, Set<string>>();
  #lastError = "";
  #disposed = false;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#node = create(NodeSchema, {
      id: options.node.id,
      cluster: "",
      userAgentName: "tulle",
      userAgentVersionType: { case: "userAgentVersion", value: VERSION },
      metadata: options.node.metadata,
    });
    this.#backoff = new Backoff({ baseMs: RECONNECT_MIN_MS, maxMs: RECONNECT_MAX_MS }, options.random);
    const connected = options.metrics
      .gauge("envoy_control_plane_connected_state", "1 while connected.")
      .with([]);
    options.metrics.onCollect(() => connected.set(this.#stream === undefined ? 0 : 1));
  }

  status(): AdsStatus {
    return { connected: this.#stream !== undefined, lastError: this.#lastError, types: this.#types };
  }

  /** Connects, or connects anew at once (a new certificate). What was received stays. */
  connect(): void {
    if (this.#disposed) return;
    this.#retry.value = undefined;
    this.#drop();
    const client = this.#options.connect();
    const stream = client.call(METHOD, {
      onMessage: (response) => this.#onResponse(response),
      // Requests are few and small; the stream bounds what waits.
      onWritable: () => undefined,
      onEnd: (status, message) => {
        if (client === this.#client) this.#onStreamEnd(`${status} ${message}`);
      },
    });
    this.#client = client;
    this.#stream = stream;
    this.#firstRequest = true;
    this.#subscribed = new Map();
    const known = this.#knownVersions();
    this.#subscribe(known);
    this.#forgetUnwanted(known);
    this.#options.onConnection?.(client);
  }

  /** Looks again at what is wanted and tells the control plane what changed. */
  refresh(): void {
    if (this.#stream !== undefined) this.#subscribe(undefined);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#retry[Symbol.dispose]();
    this.#drop();
  }

  #drop(): void {
    const client = this.#client;
    this.#stream = undefined;
    this.#client = undefined;
    client?.[Symbol.dispose]();
  }

  #onStreamEnd(why: string): void {
    this.#drop();
    this.#lastError = why;
    if (this.#disposed) return;
    const delayMs = this.#backoff.next();
    this.#options.logger.info("xDS stream ended; connecting again", {
      status: this.#lastError,
      delayMs: Math.round(delayMs),
    });
    this.#retry.value = this.#options.clock.setTimeout(() => this.connect(), delayMs, { keepAlive: false });
  }

  #onResponse(response: DeltaDiscoveryResponse): void {
    this.#backoff.reset();
    const { typeUrl, nonce } = response;
    const changes: ResourceChange[] = [];
    for (const { name, version, resource } of response.resources) {
      changes.push({ typeUrl, name, version, bytes: resource?.value });
    }
    for (const name of response.removedResources)
      changes.push({ typeUrl, name, version: "", bytes: undefined });
    const rejections = this.#options.configuration.apply(changes);
    const error = rejections.map(({ name, message }) => `${name}: ${message}`).join("; ");
    this.#count(typeUrl, error);
    this.#send({
      typeUrl,
      responseNonce: nonce,
      ...(error === ""
        ? {}
        : { errorDetail: create(StatusSchema, { code: INVALID_ARGUMENT, message: error }) }),
    });
    if (error !== "") this.#options.logger.warn("xDS response refused", { typeUrl, error });
    this.#subscribe(undefined);
    this.#options.onChanged();
  }

  #count(typeUrl: string, error: string): void {
    let counts = this.#types.get(typeUrl);
    if (counts === undefined) {
      counts = { acked: 0, nacked: 0, error: "" };
      this.#types.set(typeUrl, counts);
    }
    if (error === "") counts.acked++;
    else counts.nacked++;
    counts.error = error;
    const short = typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
    this.#options.metrics
      .counter(
        error === "" ? "envoy_xds_update_success_total" : "envoy_xds_update_rejected_total",
        "xDS responses by type of resource.",
      )
      .with(["type", short])
      .inc();
  }

  /** Subscribes to what is wanted and not yet subscribed to, and drops the rest. `versions`: only on a new stream. */
  #subscribe(versions: ReadonlyMap<string, ReadonlyMap<string, string>> | undefined): void {
    const { configuration, roots } = this.#options;
    const wanted = configuration.wanted(roots());
    for (const typeUrl of SEND_ORDER) {
      const names = wanted.get(typeUrl) ?? NO_NAMES;
      const before = this.#subscribed.get(typeUrl) ?? NO_NAMES;
      const added = [...names].filter((name) => !before.has(name));
      const removed = [...before].filter((name) => !names.has(name));
      if (added.length === 0 && removed.length === 0) continue;
      this.#subscribed.set(typeUrl, new Set(names));
      this.#send({
        typeUrl,
        resourceNamesSubscribe: added,
        resourceNamesUnsubscribe: removed,
        initialResourceVersions: initialVersions(added, versions?.get(typeUrl)),
      });
      if (removed.length > 0) configuration.forget(typeUrl, removed);
    }
  }

  /** What is held and not asked for would never be heard of again. */
  #forgetUnwanted(known: ReadonlyMap<string, ReadonlyMap<string, string>>): void {
    for (const [typeUrl, versions] of known) {
      const wanted = this.#subscribed.get(typeUrl) ?? NO_NAMES;
      const unwanted = [...versions.keys()].filter((name) => !wanted.has(name));
      if (unwanted.length > 0) this.#options.configuration.forget(typeUrl, unwanted);
    }
  }

  #knownVersions(): Map<string, Map<string, string>> {
    const versions = new Map<string, Map<string, string>>();
    for (const { typeUrl, name, version, bytes } of this.#options.configuration.resources()) {
      if (bytes === undefined || typeUrl === RESOLVED_NAMES_TYPE) continue;
      let ofType = versions.get(typeUrl);
      if (ofType === undefined) {
        ofType = new Map();
        versions.set(typeUrl, ofType);
      }
      ofType.set(name, version);
    }
    return versions;
  }

  #send(init: Partial<Omit<DeltaDiscoveryRequest, "$typeName" | "$unknown">>): void {
    const request = create(DeltaDiscoveryRequestSchema, init);
    if (this.#firstRequest) {
      this.#firstRequest = false;
      request.node = this.#node;
    }
    this.#stream?.write(request);
  }
}

const METHOD = grpcServiceDefinition(AggregatedDiscoveryService).deltaAggregatedResources;
const NO_NAMES: ReadonlySet<string> = new Set();

/** Null prototype: resource names may be called anything. */
function initialVersions(
  names: readonly string[],
  known: ReadonlyMap<string, string> | undefined,
): Record<string, string> {
  const versions = Object.create(null) as Record<string, string>;
  for (const name of names) {
    const version = known?.get(name);
    if (version !== undefined) versions[name] = version;
  }
  return versions;
}
