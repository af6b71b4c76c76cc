import type { Socket } from "node:net";

import { formatAddress, type Clock, type Disposable, type Logger } from "@tulle/base";

import type { ConnectionSet } from "../connection/connection-set.js";
import { Detection, type DetectionContext, type Found } from "../detection/detection.js";
import { silenceAfter } from "../detection/learnt-ports.js";
import type { Names } from "../dns/names.js";
import { isVirtualIp } from "../dns/virtual-ips.js";
import type { ListenAddress } from "../options.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { OriginalDestination } from "./original-destination.js";
import type { OutboundPolicy } from "./outbound-policy.js";
import type { OwnListeners } from "./own-listeners.js";
import { Passthrough, type PassthroughWay } from "./passthrough.js";

const NOTHING = Buffer.alloc(0);

export interface InterceptionOptions {
  readonly originalDestination: OriginalDestination;
  readonly own: OwnListeners;
  readonly names: Names;
  readonly policy: OutboundPolicy;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

/** A redirected connection to a service of the mesh. */
export interface Redirected {
  /** `host:port` in full of the service that its destination stands for. */
  readonly authority: string;
  readonly destination: ListenAddress;
  /** Takes the connection when there is no such service; undefined = nobody does. */
  readonly serveNobody: ((socket: Socket) => void) | undefined;
}

/** What the outbound listener does for redirected connections. */
export interface RedirectionTarget {
  readonly detection: DetectionContext;
  readonly connections: ConnectionSet;
  /** Takes a connection to a service; it is paused, or was not read yet. */
  serve(socket: Socket, redirected: Redirected): void;
}

/**
 * Sorts the connections of the outbound listener: made to it directly, redirected on the way to a service, or redirected
 * on the way to somewhere that the mesh does not know.
 */
export class Interception implements Disposable {
  readonly #options: InterceptionOptions;
  readonly #passthrough: Passthrough;
  readonly #count: (to: string) => void;

  constructor(options: InterceptionOptions) {
    const { metrics, clock, logger } = options;
    const connections = metrics.counter(
      "tulle_redirected_connections_total",
      "Redirected connections by where they went: service, passthrough, refused, loop.",
    );
    this.#options = options;
    this.#count = (to) => connections.with(["to", to]).inc();
    this.#passthrough = new Passthrough(clock, () => {
      this.#count("loop");
      logger.warn("a connection of this sidecar was redirected to itself; exclude its user from the rules");
    });
  }

  /** Takes a connection that was redirected. False, and nothing is done, for one that was made to the listener itself. */
  take(socket: Socket, target: RedirectionTarget): boolean {
    const { originalDestination, own, names } = this.#options;
    const destination = originalDestination(socket);
    if (destination === undefined) return false;
    if (this.#passthrough.isLoop(socket)) return true;
    if (own.has(destination)) {
      this.#count("loop");
      socket.destroy();
      return true;
    }
    const host = names.hostOf(destination.host);
    if (host !== undefined) {
      this.#count("service");
      const authority = formatAddress(host, destination.port);
      target.serve(socket, { authority, destination, serveNobody: undefined });
    } else if (isVirtualIp(destination.host)) {
      // Nothing is there but services: an address without one is that of a service that is gone.
      this.#refuse(socket);
    } else this.#detect(socket, destination, target);
    return true;
  }

  [Symbol.dispose](): void {
    this.#passthrough[Symbol.dispose]();
  }

  /** Looks for a name in what is said to an unknown destination. */
  #detect(socket: Socket, destination: ListenAddress, target: RedirectionTarget): void {
    const { connections } = target;
    const { ports } = target.detection;
    const port = formatAddress(destination.host, destination.port);
    const { silenceMs } = this.#options.policy;
    const detection = new Detection<PassthroughWay>(
      socket,
      {
        silenceMs: ports.silenceMs(port, silenceMs),
        learn: ({ kind }) => ports.learn(port, kind, silenceAfter(kind, silenceMs), "unknown"),
        open: (listener) =>
          this.#options.policy.passthrough
            ? this.#passthrough.open(socket, destination, listener)
            : undefined,
        take: (found, head, way) => {
          connections.remove(detection);
          const host = this.#hostNamedBy(found);
          if (host === undefined) {
            this.#carry(socket, destination, head, way);
            return;
          }
          this.#count("service");
          way?.abandon();
          socket.unshift(head);
          target.serve(socket, {
            authority: formatAddress(host, destination.port),
            destination,
            serveNobody: (unserved) => this.#carry(unserved, destination, NOTHING, undefined),
          });
        },
        gone: () => connections.remove(detection),
      },
      target.detection,
    );
    connections.add(detection);
    detection.start();
  }

  #hostNamedBy(found: Found): string | undefined {
    if (found.kind !== "tls" || found.hello.serverName === "") return undefined;
    return this.#options.names.hostNamed(found.hello.serverName);
  }

  #carry(socket: Socket, destination: ListenAddress, head: Buffer, way: PassthroughWay | undefined): void {
    if (way === undefined && !this.#options.policy.passthrough) {
      this.#refuse(socket);
      return;
    }
    this.#count("passthrough");
    (way ?? this.#passthrough.open(socket, destination)).start(head);
  }

  #refuse(socket: Socket): void {
    this.#count("refused");
    socket.destroy();
  }
}
