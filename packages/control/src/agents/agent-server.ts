import type { ServerDuplexStream } from "@grpc/grpc-js";
import { MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import { grpcServiceDefinition } from "@tulle/xds";
import { Agent, type FromProxy, type ToProxy } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import type { AuthenticatedCall, GrpcService } from "../grpc/index.js";
import type { AdsIdentity } from "../push/index.js";
import { AgentSession } from "./agent-session.js";
import type { ConnectedAgent } from "./contract.js";

const DEFAULT_MAX_STREAMS = 10_000;

export interface AgentServerOptions {
  /** Who a call's peer has proved to be, or undefined without a valid certificate. */
  readonly identify: (call: AuthenticatedCall) => AdsIdentity | undefined;
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
  #disposed = false;

  constructor(options: AgentServerOptions) {
    this.#options = options;
  }

  service(): GrpcService {
    return {
      definition: grpcServiceDefinition(Agent),
      implementation: {
        connect: (call: ServerDuplexStream<FromProxy, ToProxy>) => this.#serve(call),
      },
    };
  }

  /** The proxies that can be asked, by id. Of two streams of one proxy the newer counts: it has connected again. */
  agents(): readonly ConnectedAgent[] {
    const newest = new Map<string, ConnectedAgent>();
    // In the order in which they said hello.
    for (const agent of this.#agents) newest.set(agent.id, agent);
    return [...newest.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  /** Ends every stream; proxies connect again elsewhere. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const session of this.#sessions) session[Symbol.dispose]();
  }

  #serve(call: ServerDuplexStream<FromProxy, ToProxy>): void {
    const { identify, clock, logger, maxStreams = DEFAULT_MAX_STREAMS } = this.#options;
    const session = new AgentSession({
      call,
      identity: identify(call),
      clock,
      logger,
      onOpen: (opened) => this.#agents.add(opened),
      onClosed: (closed) => {
        this.#sessions.delete(closed);
        this.#agents.delete(closed);
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
  }
}
