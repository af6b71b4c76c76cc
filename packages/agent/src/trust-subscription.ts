import { create } from "@bufbuild/protobuf";
import {
  Backoff,
  MeshError,
  MutableDisposable,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import { RevocationLists } from "@tulle/base/spiffe";
import { GrpcStatus } from "@tulle/http";
import type { GrpcCall, GrpcClient } from "@tulle/http/socket";
import {
  decodeSecret,
  GRACE_SECRET,
  JWT_BUNDLES_SECRET,
  readGraceSecret,
  readJwtBundlesSecret,
  readRootSecret,
  ROOT_SECRET,
  SECRET_TYPE,
  secretDiscoveryService,
} from "@tulle/xds";
import {
  DiscoveryRequestSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import type { TrustUpdate } from "./contract.js";

export interface TrustSubscriptionOptions {
  /** Asked when there is an answer: a sidecar may not know its mesh before. */
  readonly trustDomain: () => string;
  /** What the control plane tells; throws for what cannot be used, which is refused then. */
  readonly onTrust: (update: TrustUpdate) => void;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

const METHOD = secretDiscoveryService.streamSecrets;

/**
 * Learns from the control plane, over SDS, whom to trust, and says that it has: a new root signs only when everybody
 * knows it. Lives on connections whose server has proved to be the control plane.
 */
export class TrustSubscription implements Disposable {
  readonly #options: TrustSubscriptionOptions;
  readonly #backoff: Backoff;
  readonly #retry = new MutableDisposable<Timer>();
  #connect: (() => GrpcClient) | undefined;
  #client: GrpcClient | undefined;
  #call: GrpcCall<DiscoveryRequest> | undefined;

  constructor(options: TrustSubscriptionOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 1000, maxMs: 30_000 }, options.random);
  }

  /** There is a new connection to the control plane: the subscription begins anew on it. The former one is over. */
  attach(client: GrpcClient): void {
    this.#drop();
    this.#client = client;
    this.#backoff.reset();
    this.#open(client);
  }

  /** Subscribes on connections of its own, made anew whenever one ends, until disposed. */
  follow(connect: () => GrpcClient): void {
    this.#drop();
    this.#connect = connect;
    this.#open((this.#client = connect()));
  }

  [Symbol.dispose](): void {
    this.#drop();
  }

  #drop(): void {
    this.#retry.value = undefined;
    this.#call?.cancel();
    this.#call = undefined;
    if (this.#connect !== undefined) this.#client?.[Symbol.dispose]();
    this.#connect = undefined;
    this.#client = undefined;
  }

  #open(client: GrpcClient): void {
    const call: GrpcCall<DiscoveryRequest> = client.call(METHOD, {
      onMessage: (response) => {
        if (this.#call === call) this.#onResponse(call, response);
      },
      onWritable: () => undefined,
      onEnd: (status, message) => {
        if (this.#call === call) this.#onEnd(client, status, message);
      },
    });
    this.#call = call;
    call.write(requestOf({}));
  }

  #onResponse(call: GrpcCall<DiscoveryRequest>, response: DiscoveryResponse): void {
    this.#backoff.reset();
    const { nonce: responseNonce, versionInfo } = response;
    try {
      this.#options.onTrust(readUpdate(response, this.#options.trustDomain()));
    } catch (thrown) {
      const { message } = MeshError.from(thrown);
      this.#options.logger.warn("refused the roots that the control plane sent", { error: thrown });
      call.write(requestOf({ responseNonce, errorDetail: { code: GrpcStatus.INVALID_ARGUMENT, message } }));
      return;
    }
    call.write(requestOf({ responseNonce, versionInfo }));
  }

  #onEnd(client: GrpcClient, status: number, message: string): void {
    this.#call = undefined;
    const { logger, clock } = this.#options;
    if (status === GrpcStatus.UNIMPLEMENTED) {
      logger.debug("the control plane does not tell of new roots", { why: message });
      return;
    }
    const delayMs = this.#backoff.next();
    logger.debug("the stream of roots ended", { status, why: message, delayMs: Math.round(delayMs) });
    const again = (): void => {
      if (client !== this.#client) return;
      if (this.#connect !== undefined) {
        client[Symbol.dispose]();
        this.#client = this.#connect();
      }
      this.#open(this.#client);
    };
    this.#retry.value = clock.setTimeout(again, delayMs, { keepAlive: false });
  }
}

function requestOf(answer: {
  readonly responseNonce?: string;
  readonly versionInfo?: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}): DiscoveryRequest {
  return create(DiscoveryRequestSchema, {
    typeUrl: SECRET_TYPE,
    resourceNames: [ROOT_SECRET, JWT_BUNDLES_SECRET, GRACE_SECRET],
    ...answer,
  });
}

function readUpdate({ resources }: DiscoveryResponse, trustDomain: string): TrustUpdate {
  const secrets = resources.map(({ value }) => decodeSecret(value));
  const roots = secrets
    .map((secret) => readRootSecret(secret, trustDomain))
    .find((each) => each !== undefined);
  if (roots === undefined) throw new MeshError("invalid", "AGENT_TRUST", "the answer has no secret ROOTCA");
  const { revocationListsPem } = roots;
  if (new RevocationLists(revocationListsPem).unreadable > 0)
    throw new MeshError("invalid", "AGENT_TRUST", "there is a revocation list that cannot be used");
  const { [trustDomain]: trustBundlePem = "", ...federatedBundles } = roots.bundles;
  const graceMs = Math.max(0, ...secrets.map(readGraceSecret));
  const jwtBundles = Object.assign({}, ...secrets.map(readJwtBundlesSecret)) as Record<string, string>;
  return { trustBundlePem, federatedBundles, revocationListsPem, jwtBundles, graceMs };
}
