import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import {
  streamingMethod,
  type GrpcServerCall,
  type GrpcServerHandler,
  type GrpcServerMethod,
} from "@tulle/http/socket";
import {
  encodeSecret,
  GRACE_SECRET,
  graceSecret,
  JWT_BUNDLES_SECRET,
  jwtBundlesSecret,
  ROOT_SECRET,
  rootSecret,
  SECRET_TYPE,
  secretDiscoveryService,
} from "@tulle/xds";
import type { Secret } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

import type { PeerIdentityOf } from "../grpc/peer-identity.js";
import { grpcFailureOf } from "../grpc/status.js";
import { watchExpiry } from "../grpc/stream-expiry.js";
import type { MeshTrust } from "./mesh-trust.js";

/** Streams at once, at most. */
const MAX_STREAMS = 10_000;
/** Subscribers that are named as having said nothing yet, at most. */
const MAX_NAMED = 100;

export interface TrustDistributionOptions {
  readonly trust: MeshTrust;
  readonly identify: PeerIdentityOf;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What workloads may ask for. */
const SECRETS: Readonly<Record<string, (trust: MeshTrust) => Secret>> = {
  [ROOT_SECRET]: (trust) => rootSecret(trust, true),
  [JWT_BUNDLES_SECRET]: ({ jwtBundles }) => jwtBundlesSecret(jwtBundles),
  [GRACE_SECRET]: ({ graceMs }) => graceSecret(graceMs),
};

type Call = GrpcServerCall<DiscoveryResponse>;

interface Subscriber {
  readonly spiffeId: string;
  readonly call: Call;
  names: readonly string[];
  nonce: number;
  /** It has yet to take what it was sent; the newest follows then. */
  behind: boolean;
  /** Versions of what was sent last and of what was accepted last. */
  sent: string;
  accepted: string;
}

/**
 * Tells workloads whom to trust, as it changes, over SDS (`ROOTCA`), and knows who has accepted what. Their own secret
 * is not given: keys never travel.
 */
export class TrustDistribution implements Disposable {
  readonly #options: TrustDistributionOptions;
  readonly #subscribers = new Set<Subscriber>();
  readonly #accepted = new Emitter<void>();
  readonly #subscription: Disposable;

  constructor(options: TrustDistributionOptions) {
    this.#options = options;
    this.#subscription = options.trust.onChanged(() => {
      for (const subscriber of this.#subscribers) this.#send(subscriber);
    });
  }

  /** Somebody has accepted what was sent, or has gone. */
  readonly onAccepted = this.#accepted.event;

  /** SPIFFE ids of the workloads that are connected and have not accepted the present bundles, at most 100. */
  get pending(): readonly string[] {
    const { version } = this.#options.trust;
    const pending: string[] = [];
    for (const { accepted, spiffeId } of this.#subscribers) {
      if (accepted === version) continue;
      pending.push(spiffeId);
      if (pending.length === MAX_NAMED) break;
    }
    return pending.sort();
  }

  methods(): readonly GrpcServerMethod[] {
    return [streamingMethod(secretDiscoveryService.streamSecrets, (call: Call) => this.#serve(call))];
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    const gone = new MeshError("unavailable", "CA_STOPPED", "the control plane stops; connect again");
    for (const { call } of this.#subscribers) end(call, gone);
    this.#subscribers.clear();
  }

  #serve(call: Call): GrpcServerHandler<DiscoveryRequest> | undefined {
    const peer = this.#options.identify(call);
    if (peer === undefined || this.#subscribers.size >= MAX_STREAMS) {
      end(call, peer === undefined ? nobody() : tooMany());
      return undefined;
    }
    const { spiffeId } = peer;
    const subscriber: Subscriber = {
      spiffeId,
      call,
      names: [],
      nonce: 0,
      behind: false,
      sent: "",
      accepted: "",
    };
    const expiry = watchExpiry(this.#options.clock, peer, (error) => {
      finish();
      end(call, error);
    });
    const finish = (): void => {
      expiry[Symbol.dispose]();
      if (this.#subscribers.delete(subscriber)) this.#accepted.emit();
    };
    this.#subscribers.add(subscriber);
    return {
      onMessage: (request) => this.#onRequest(subscriber, request),
      onEnd() {
        finish();
        call.end();
      },
      onTaken: () => {
        if (subscriber.behind && call.waitingBytes === 0) this.#send(subscriber);
      },
      onGone: finish,
    };
  }

  #onRequest(subscriber: Subscriber, request: DiscoveryRequest): void {
    const { responseNonce, errorDetail } = request;
    const names = Object.keys(SECRETS).filter((name) => request.resourceNames.includes(name));
    const changed = names.join() !== subscriber.names.join();
    subscriber.names = names;
    if (responseNonce !== "" && responseNonce !== String(subscriber.nonce)) return;
    if (responseNonce !== "" && errorDetail === undefined) {
      subscriber.accepted = subscriber.sent;
      this.#accepted.emit();
    } else if (errorDetail !== undefined) {
      this.#options.logger.warn("a workload refused the roots that it was sent", {
        spiffeId: subscriber.spiffeId,
        error: errorDetail.message,
      });
    }
    // An answer to what was sent asks for nothing by itself.
    if (changed || subscriber.nonce === 0) this.#send(subscriber);
  }

  #send(subscriber: Subscriber): void {
    const { trust } = this.#options;
    const { version } = trust;
    const { names, call } = subscriber;
    if (names.length === 0) return;
    subscriber.behind = call.waitingBytes > 0;
    if (subscriber.behind) return;
    const secrets = names.flatMap((name) => SECRETS[name]?.(trust) ?? []);
    subscriber.nonce++;
    subscriber.sent = version;
    call.write(
      create(DiscoveryResponseSchema, {
        typeUrl: SECRET_TYPE,
        versionInfo: version,
        nonce: String(subscriber.nonce),
        resources: secrets.map((secret) =>
          create(AnySchema, { typeUrl: SECRET_TYPE, value: encodeSecret(secret) }),
        ),
      }),
    );
  }
}

function end(call: Call, error: MeshError): void {
  const { status, message } = grpcFailureOf(error);
  call.end(status, message);
}

function nobody(): MeshError {
  return new MeshError(
    "unauthenticated",
    "CA_NO_PROOF",
    "secrets are for workloads of the mesh: connect with a certificate that has not expired",
  );
}

function tooMany(): MeshError {
  return new MeshError("exhausted", "CA_STREAMS", "too many workloads are connected here; try again later");
}
