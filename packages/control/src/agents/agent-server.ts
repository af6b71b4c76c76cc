import type { LostProxy } from "@tulle/api";
import { MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import {
  streamingMethod,
  type GrpcCallInfo,
  type GrpcServerCall,
  type GrpcServerHandler,
  type GrpcServerMethod,
} from "@tulle/http/socket";
import { grpcServiceDefinition } from "@tulle/xds";
import { Agent, type FromProxy, type ToProxy } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { grpcFailureOf } from "../grpc/status.js";
import { noCertificate, type AdsIdentity } from "../push/index.js";
import { AgentSession } from "./agent-session.js";
import type { ConnectedAgent } from "./contract.js";

const DEFAULT_MAX_STREAMS = 10_000;
/** Proxies that went away and are remembered. */
const MAX_GONE = 1000;
/** One that is away for a shorter time is connecting again. */
const LOST_AFTER_MS = 10_000;

export interface AgentServerOptions {
  /** Who a call's peer has proved to be, or undefined without a valid certificate. */
  readonly identify: (call: GrpcCallInfo) => AdsIdentity | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Streams at once; default 10,000. */
  readonly maxStreams?: number;
}

/** The control plane's end of `tulle.v1.Agent/Connect`: knows which proxies can be asked. */
export class AgentServer implements Disposable {
  readonly #options: AgentServerOptions;
  readonly #sessions = new Set<AgentSession>();
  /** Those that have said hello. */
  readonly #agents = new Set<AgentSession>();
  /** Proxies that went away, by id, in the order in which they did. */
  readonly #gone = new Map<string, { readonly inboundAddress: string; readonly since: number }>();
  #disposed = false;

  constructor(options: AgentServerOptions) {
    this.#options = options;
  }

  methods(): readonly GrpcServerMethod[] {
    const connect = (call: GrpcServerCall<ToProxy>): GrpcServerHandler<FromProxy> | undefined =>
      this.#serve(call);
    return [streamingMethod(grpcServiceDefinition(Agent).connect, connect)];
  }

  /**
   * The proxies that can be asked, by id. Of two streams of one proxy the newer counts: it has connected again. One of
   * another identity that takes a proxy's id for its own does not count.
   */
  agents(): readonly ConnectedAgent[] {
    const newest = new Map<string, ConnectedAgent>();
    // In the order in which they said hello.
    for (const agent of this.#agents) {
      const known = newest.get(agent.id);
      if (known === undefined || known.identity === agent.identity) newest.set(agent.id, agent);
    }
    return [...newest.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  /** Proxies that went away and did not come back although `isRegistered` knows their address. */
  lost(isRegistered: (address: string) => boolean): readonly LostProxy[] {
    const until = this.#options.clock.now() - LOST_AFTER_MS;
    return [...this.#gone]
      .filter(([, { since, inboundAddress }]) => since <= until && isRegistered(inboundAddress))
      .map(([id, { since }]) => ({ id, since }));
  }

  /** Ends every stream; proxies connect again elsewhere. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const session of this.#sessions) session[Symbol.dispose]();
  }

  #serve(call: GrpcServerCall<ToProxy>): GrpcServerHandler<FromProxy> | undefined {
    const { identify, clock, logger, maxStreams = DEFAULT_MAX_STREAMS } = this.#options;
    const identity = identify(call);
    if (identity === undefined) {
      const { status, message } = grpcFailureOf(noCertificate());
      logger.warn("an agent stream was refused", { peer: call.peer.address, why: message });
      call.end(status, message);
      return undefined;
    }
    const session = new AgentSession({
      call,
      identity,
      clock,
      logger,
      onOpen: (opened) => {
        this.#agents.add(opened);
        this.#gone.delete(opened.id);
      },
      onClosed: (closed) => {
        this.#sessions.delete(closed);
        if (this.#agents.delete(closed)) this.#onGone(closed);
      },
    });
    this.#sessions.add(session);
    if (this.#disposed) session[Symbol.dispose]();
    else if (this.#sessions.size > maxStreams)
      session.fail(
        new MeshError(
          "exhausted",
          "CONTROL_TOO_MANY_AGENTS",
          `this control plane serves ${maxStreams} agent streams; add another one`,
        ),
      );
    return session;
  }

  #onGone({ id, inboundAddress }: AgentSession): void {
    for (const other of this.#agents) if (other.id === id) return;
    this.#gone.delete(id);
    this.#gone.set(id, { inboundAddress, since: this.#options.clock.now() });
    if (this.#gone.size <= MAX_GONE) return;
    for (const oldest of this.#gone.keys()) {
      this.#gone.delete(oldest);
      break;
    }
  }
}
