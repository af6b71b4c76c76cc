import type { CatalogChange } from "@tulle/api";
import {
  DisposableStack,
  MeshError,
  VERSION,
  versionSkew,
  type Clock,
  type Disposable,
  type Event,
  type Logger,
} from "@tulle/base";
import {
  streamingMethod,
  type GrpcCallInfo,
  type GrpcServerCall,
  type GrpcServerHandler,
  type GrpcServerMethod,
} from "@tulle/http/socket";
import { VIRTUAL_IPS_DEPENDENCY, type Dependency, type MeshReader, type Translate } from "@tulle/translate";
import { grpcServiceDefinition, MAX_SUBSCRIBED_NAMES } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import type { ConfigChange } from "../config/index.js";
import { grpcFailureOf } from "../grpc/status.js";
import { noCertificate, type AdsClient, type AdsIdentity } from "./ads-client.js";
import { AdsSession } from "./ads-session.js";
import { AdsStream } from "./ads-stream.js";
import { CatalogChanges, objectDependencies } from "./change-set.js";
import { Coalescer } from "./coalescer.js";
import { PushLedger } from "./push-ledger.js";
import { PushMetrics } from "./push-metrics.js";
import { ResourceCache } from "./resource-cache.js";
import { deltaWire, sotwWire, type AnyDiscoveryRequest, type WireVariant } from "./wire.js";

export interface AdsServerOptions {
  readonly reader: MeshReader;
  readonly translate: Translate;
  /** Who a call's peer has proved to be, or undefined without a valid certificate. */
  readonly identify: (call: GrpcCallInfo) => AdsIdentity | undefined;
  /** Resolves once catalog and configuration are loaded. Nothing is answered before; a failure ends all streams. */
  readonly warm: () => Promise<void>;
  readonly catalogChanges: Event<CatalogChange>;
  readonly configChanges: Event<Pick<ConfigChange, "keys">>;
  /** The reader's virtual IPs have changed. */
  readonly virtualIpChanges?: Event<void>;
  /** Keys of issuers have changed: what is made from them, as a dependency. */
  readonly keyChanges?: Event<Dependency>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Starts this server's nonces, so that one from before a restart is not taken for a new one. Default: start time. */
  readonly noncePrefix?: string;
  readonly limits?: Partial<AdsLimits>;
}

export interface AdsLimits {
  /** Streams at once; default 10,000. */
  readonly streams: number;
  /** Names per type and stream; default 10,000. */
  readonly names: number;
  /** A client that takes no byte for this long is cut, milliseconds; default 5,000. */
  readonly writeTimeoutMs: number;
  /** Configuration changes are pushed once none came for this long, milliseconds; default 10. */
  readonly quietMs: number;
  /** … and at the latest after this, milliseconds; default 100. */
  readonly maxWaitMs: number;
}

const DEFAULT_LIMITS: AdsLimits = {
  streams: 10_000,
  names: MAX_SUBSCRIBED_NAMES,
  writeTimeoutMs: 5_000,
  quietMs: 10,
  maxWaitMs: 100,
};

/**
 * The aggregated discovery service, both variants. A change of the catalog is pushed in the same turn to the streams
 * that subscribe to something made from it; changes of configuration objects are gathered first.
 */
export class AdsServer implements Disposable {
  readonly metrics = new PushMetrics();
  readonly ledger: PushLedger;
  readonly #options: AdsServerOptions;
  readonly #limits: AdsLimits;
  readonly #cache: ResourceCache;
  readonly #sessions = new Set<AdsSession<never>>();
  /** Sessions whose stream may have something to send. */
  readonly #due = new Set<AdsSession<never>>();
  readonly #streams = new Set<AdsStream<never>>();
  readonly #subscriptions = new DisposableStack();
  readonly #noncePrefix: string;
  #warm = false;
  /** Set when no stream is taken any more. */
  #closed: MeshError | undefined;
  #opened = 0;

  constructor(options: AdsServerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#noncePrefix = options.noncePrefix ?? options.clock.now().toString(36);
    this.#cache = new ResourceCache(options);
    this.ledger = new PushLedger(this.#streams, this.#cache);
    this.#follow();
    void this.#awaitWarm();
  }

  /**
   * Both variants' methods for a gRPC server. `anonymous` lets in clients without a certificate that speak dialect `grpc`: for
   * the plaintext development port only.
   */
  methods({ anonymous }: { readonly anonymous: boolean }): readonly GrpcServerMethod[] {
    const { streamAggregatedResources, deltaAggregatedResources } =
      grpcServiceDefinition(AggregatedDiscoveryService);
    return [
      streamingMethod(
        streamAggregatedResources,
        (call: GrpcServerCall<Uint8Array>): GrpcServerHandler<DiscoveryRequest> | undefined =>
          this.#serve(call, sotwWire, anonymous),
      ),
      streamingMethod(
        deltaAggregatedResources,
        (call: GrpcServerCall<Uint8Array>): GrpcServerHandler<DeltaDiscoveryRequest> | undefined =>
          this.#serve(call, deltaWire, anonymous),
      ),
    ];
  }

  /** Makes what a proxy is sent anew where it is not what translation gives now; names what that was. */
  audit(proxy: string, maxAgeMs: number): readonly string[] {
    const nowMs = this.#options.clock.monotonic();
    const healed: string[] = [];
    for (const session of this.#sessionsOf(proxy)) {
      for (const channel of session.stream?.channels ?? []) healed.push(...channel.audit(nowMs, maxAgeMs));
    }
    if (healed.length > 0) this.#flushDue();
    return healed;
  }

  /** Sends a proxy resources again that it should have. Returns false when it does not ask for all of them. */
  resend(proxy: string, typeUrl: string, names: readonly string[]): boolean {
    let asked = false;
    for (const session of this.#sessionsOf(proxy)) {
      for (const channel of session.stream?.channels ?? [])
        if (channel.typeUrl === typeUrl) asked = channel.resend(names) || asked;
    }
    this.#flushDue();
    return asked;
  }

  /** Ends a proxy's streams: it connects again and tells what it has. */
  restart(proxy: string): void {
    for (const session of this.#sessionsOf(proxy)) {
      session.fail(
        new MeshError(
          "unavailable",
          "XDS_RECONCILE",
          "what this proxy has is not what it was sent; connect again",
        ),
      );
    }
  }

  /** Ends every stream; clients connect again elsewhere. */
  [Symbol.dispose](): void {
    this.#closed ??= new MeshError("unavailable", "XDS_SHUTDOWN", "the control plane is stopping");
    this.#subscriptions[Symbol.dispose]();
    for (const session of this.#sessions) session[Symbol.dispose]();
  }

  #follow(): void {
    const { reader, catalogChanges, configChanges, virtualIpChanges, keyChanges, clock } = this.#options;
    const { quietMs, maxWaitMs } = this.#limits;
    const catalog = new CatalogChanges(reader.catalog);
    const config = this.#subscriptions.use(
      new Coalescer<string>({ clock, quietMs, maxMs: maxWaitMs }, (dependencies, firstAtMs) => {
        this.#push(dependencies, firstAtMs);
      }),
    );
    this.#subscriptions.use(configChanges(({ keys }) => config.add(objectDependencies(keys))));
    if (keyChanges !== undefined) {
      this.#subscriptions.use(keyChanges((dependency) => config.add([dependency])));
    }
    if (virtualIpChanges !== undefined) {
      this.#subscriptions.use(virtualIpChanges(() => config.add([VIRTUAL_IPS_DEPENDENCY])));
    }
    this.#subscriptions.use(
      catalogChanges((change) => this.#push(catalog.dependencies(change), clock.monotonic())),
    );
  }

  #push(dependencies: Iterable<string>, sinceMs: number): void {
    this.#cache.invalidate(dependencies, sinceMs);
    this.#flushDue();
  }

  #flushDue(): void {
    if (!this.#warm) return;
    const due = [...this.#due];
    this.#due.clear();
    for (const session of due) session.flush();
  }

  #sessionsOf(proxy: string): readonly AdsSession<never>[] {
    return [...this.#sessions].filter(({ clientId }) => clientId === proxy);
  }

  async #awaitWarm(): Promise<void> {
    try {
      await this.#options.warm();
    } catch (thrown) {
      this.#options.logger.error("configuration did not load; xDS stays closed", { error: thrown });
      this.#closed ??= new MeshError(
        "unavailable",
        "XDS_NOT_WARM",
        "the control plane has no configuration yet; see its log",
      );
      for (const session of this.#sessions) session.fail(this.#closed);
      return;
    }
    this.#warm = true;
    this.#due.clear();
    for (const session of this.#sessions) session.flush();
  }

  #serve<Request extends AnyDiscoveryRequest>(
    call: GrpcServerCall<Uint8Array>,
    wire: WireVariant<Request>,
    anonymous: boolean,
  ): GrpcServerHandler<Request> | undefined {
    const { identify, clock, logger } = this.#options;
    const identity = identify(call);
    if (identity === undefined && !anonymous) {
      const { status, message } = grpcFailureOf(noCertificate());
      logger.warn("an xDS stream was refused", { peer: call.peer.address, why: message });
      call.end(status, message);
      return undefined;
    }
    const number = ++this.#opened;
    const session: AdsSession<Request> = new AdsSession<Request>({
      call,
      identity,
      anonymous,
      writeTimeoutMs: this.#limits.writeTimeoutMs,
      clock,
      logger,
      isWarm: () => this.#warm,
      open: (client, write) => {
        let responses = 0;
        const stream = new AdsStream<Request>({
          client,
          wire,
          nextNonce: () => `${this.#noncePrefix}-${number}-${++responses}`,
          maxNames: this.#limits.names,
          cache: this.#cache,
          metrics: this.metrics,
          clock,
          logger,
          write,
          onDue: () => this.#due.add(session),
        });
        this.#streams.add(stream);
        warnOfSkew(client, logger);
        this.metrics.connected++;
        return stream;
      },
      onWriteTimeout: () => {
        this.metrics.writeTimeouts++;
      },
      onClosed: (stream) => {
        this.#sessions.delete(session);
        this.#due.delete(session);
        if (stream === undefined) return;
        this.#streams.delete(stream);
        this.metrics.connected--;
      },
    });
    this.#sessions.add(session);
    if (this.#closed !== undefined) session.fail(this.#closed);
    else if (this.#sessions.size > this.#limits.streams) {
      session.fail(
        new MeshError(
          "exhausted",
          "XDS_TOO_MANY_STREAMS",
          `this control plane serves ${this.#limits.streams} streams; add another one`,
        ),
      );
    }
    return session;
  }
}

/** It is served all the same, as far as the two understand each other. */
function warnOfSkew({ id, dialect, version }: AdsClient, logger: Logger): void {
  if (dialect !== "tulle") return;
  const skew = versionSkew(VERSION, version);
  if (skew === "too-old" || skew === "newer")
    logger.warn("a proxy's version is not supported by this control plane", { proxy: id, version, skew });
}
