import { fromBinary } from "@bufbuild/protobuf";
import { MeshError } from "@tulle/base";
import { unpackAny } from "@tulle/xds";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";

const PASSTHROUGH = "PassthroughCluster";
const BLACK_HOLE = "BlackHoleCluster";
const DEFAULT_SILENCE_MS = 50;
const LONGEST_MS = 24 * 3_600_000;

/** What becomes of connections to unknown destinations, as the listener `virtualOutbound` says. */
export class OutboundPolicy {
  #passthrough: boolean;
  #failsOpen: boolean;
  #silenceMs = DEFAULT_SILENCE_MS;

  /** `failOpen`: connections pass until the control plane has answered. Default false. */
  constructor(failOpen = false) {
    this.#passthrough = failOpen;
    this.#failsOpen = failOpen;
  }

  /** Whether they go to where they were made to; false until the control plane says so, unless it fails open. */
  get passthrough(): boolean {
    return this.#passthrough;
  }

  /** Whether connections pass only because nobody has said anything yet. */
  get failsOpen(): boolean {
    return this.#failsOpen;
  }

  /**
   * How long a client may say nothing, milliseconds, before the connection to its destination is made: what a client of TLS
   * says names a service, maybe.
   */
  get silenceMs(): number {
    return this.#silenceMs;
  }

  /** Takes the listener, encoded. Throws `invalid` PROXY_VIRTUAL_OUTBOUND, and what was there stays. */
  replace(bytes: Uint8Array): void {
    const listener = decode(bytes);
    const cluster = listener && clusterOf(listener);
    if (cluster !== PASSTHROUGH && cluster !== BLACK_HOLE) {
      // An answer that cannot be used is one all the same.
      if (this.#failsOpen) this.clear();
      throw new MeshError(
        "invalid",
        "PROXY_VIRTUAL_OUTBOUND",
        `virtualOutbound's default filter chain must be a TCP proxy to ${PASSTHROUGH} or ${BLACK_HOLE}`,
      );
    }
    this.#passthrough = cluster === PASSTHROUGH;
    this.#failsOpen = false;
    this.#silenceMs = silenceOf(listener);
  }

  clear(): void {
    this.#failsOpen = false;
    this.#passthrough = false;
    this.#silenceMs = DEFAULT_SILENCE_MS;
  }
}

function decode(bytes: Uint8Array): Listener | undefined {
  try {
    return fromBinary(ListenerSchema, bytes);
  } catch {
    return undefined;
  }
}

/** Zero is no timeout: the client is waited for, as long as anybody waits. */
function silenceOf(listener: Listener | undefined): number {
  const timeout = listener?.listenerFiltersTimeout;
  if (timeout === undefined) return DEFAULT_SILENCE_MS;
  const ms = Number(timeout.seconds) * 1000 + timeout.nanos / 1e6;
  return ms > 0 ? Math.min(ms, LONGEST_MS) : LONGEST_MS;
}

function clusterOf({ defaultFilterChain }: Listener): string | undefined {
  const config = defaultFilterChain?.filters[0]?.configType;
  const proxy = unpackAny(config?.case === "typedConfig" ? config.value : undefined, TcpProxySchema);
  const specifier = proxy?.clusterSpecifier;
  return specifier?.case === "cluster" ? specifier.value : undefined;
}
