import { MeshError, type Clock, type Disposable, type Logger, type Timer } from "@tulle/base";
import type { GrpcServerCall, GrpcServerHandler } from "@tulle/http/socket";

import { grpcFailureOf } from "../grpc/status.js";
import { watchExpiry } from "../grpc/stream-expiry.js";
import { admitClient, type AdsClient, type AdsIdentity } from "./ads-client.js";
import type { AdsStream } from "./ads-stream.js";
import type { AnyDiscoveryRequest } from "./wire.js";

/** A client that opens a stream must say something within this time. */
const FIRST_REQUEST_TIMEOUT_MS = 15_000;

export interface AdsSessionOptions<Request> {
  readonly call: GrpcServerCall<Uint8Array>;
  readonly identity: AdsIdentity | undefined;
  readonly anonymous: boolean;
  readonly writeTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether configuration is loaded: nothing is answered before. */
  readonly isWarm: () => boolean;
  /** Makes the stream's state once its first request has told who the client is. */
  readonly open: (client: AdsClient, write: (response: Uint8Array) => void) => AdsStream<Request>;
  readonly onWriteTimeout: () => void;
  /** Called once, when the call is over for whatever reason. */
  readonly onClosed: (stream: AdsStream<Request> | undefined) => void;
}

/** One gRPC call of an aggregated stream: admission, deadlines, back-pressure and the end. */
export class AdsSession<Request extends AnyDiscoveryRequest>
  implements GrpcServerHandler<Request>, Disposable
{
  readonly #options: AdsSessionOptions<Request>;
  #stream: AdsStream<Request> | undefined;
  #nodeId = "";
  /** First request, then the expiry of the client's certificate. */
  #deadline: Timer | undefined;
  #writeTimer: Timer | undefined;
  #closed = false;

  constructor(options: AdsSessionOptions<Request>) {
    this.#options = options;
    this.#deadline = options.clock.setTimeout(() => {
      this.fail(new MeshError("timeout", "XDS_SILENT", "no request came; send one with the node to start"));
    }, FIRST_REQUEST_TIMEOUT_MS);
  }

  /** Id of the client's node; "" before its first request. */
  get clientId(): string {
    return this.#nodeId;
  }

  get stream(): AdsStream<Request> | undefined {
    return this.#stream;
  }

  /** Sends what may be sent now. A failure ends this call, nobody else's. */
  flush(): void {
    if (this.#closed || !this.#options.isWarm()) return;
    try {
      this.#stream?.flush();
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  /** Ends the call with the status that fits the failure. */
  fail(thrown: unknown): void {
    if (this.#closed) return;
    this.#close();
    const { status, message } = grpcFailureOf(thrown);
    this.#options.call.end(status, message);
  }

  [Symbol.dispose](): void {
    this.fail(new MeshError("unavailable", "XDS_SHUTDOWN", "the control plane is stopping; connect again"));
  }

  // GrpcServerHandler

  onMessage(request: Request): void {
    if (this.#closed) return;
    try {
      const stream = this.#admitted(request);
      stream.request(request.typeUrl, request);
    } catch (thrown) {
      this.#refuse(thrown);
      return;
    }
    this.flush();
  }

  onEnd(): void {
    this.#options.call.end();
    this.#close();
  }

  onTaken(): void {
    this.#watchWrites();
  }

  onGone(): void {
    this.#close();
  }

  #refuse(thrown: unknown): void {
    const error = MeshError.from(thrown);
    const { logger, call } = this.#options;
    const fields = { proxy: this.#nodeId, peer: call.peer.address, code: error.code, error };
    if (error.kind === "internal") logger.error("an xDS stream failed", fields);
    else logger.warn("an xDS stream was refused", fields);
    this.fail(error);
  }

  #admitted(request: Request): AdsStream<Request> {
    const id = request.node?.id ?? "";
    if (this.#stream !== undefined) {
      // Later requests may leave the node out, or repeat it.
      if (id === "" || id === this.#nodeId) return this.#stream;
      throw new MeshError("invalid", "XDS_NODE_CHANGED", "the node may not change within a stream");
    }
    const { identity, anonymous, open } = this.#options;
    const client = admitClient(request.node, identity, anonymous);
    this.#nodeId = client.id;
    this.#deadline?.[Symbol.dispose]();
    this.#deadline = undefined;
    if (identity !== undefined) {
      const { clock } = this.#options;
      this.#deadline = watchExpiry(clock, identity, (error) => this.fail(error));
    }
    this.#stream = open(client, (response) => this.#write(response));
    return this.#stream;
  }

  #write(response: Uint8Array): void {
    if (this.#closed) return;
    if (!this.#options.call.write(response) && this.#writeTimer === undefined) this.#watchWrites();
  }

  /** Begins anew whenever the client takes something. */
  #watchWrites(): void {
    this.#writeTimer?.[Symbol.dispose]();
    this.#writeTimer = undefined;
    const { call, clock, writeTimeoutMs } = this.#options;
    if (call.waitingBytes > 0)
      this.#writeTimer = clock.setTimeout(() => this.#dropSlowReader(), writeTimeoutMs);
  }

  #dropSlowReader(): void {
    const { logger, call, onWriteTimeout } = this.#options;
    logger.warn("a proxy reads too slowly; its stream is cut", {
      proxy: this.#nodeId,
      peer: call.peer.address,
    });
    onWriteTimeout();
    this.#close();
    // An orderly end would wait behind the data that the client does not read.
    call.cut();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline?.[Symbol.dispose]();
    this.#writeTimer?.[Symbol.dispose]();
    this.#stream?.[Symbol.dispose]();
    this.#options.onClosed(this.#stream);
  }
}
