import { fromBinary } from "@bufbuild/protobuf";
import { MeshError } from "@tulle/base";
import { unpackAny } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";

const PASSTHROUGH = "PassthroughCluster";
const BLACK_HOLE = "BlackHoleCluster";

/** What becomes of connections to unknown destinations, as the listener `virtualOutbound` says. */
export class OutboundPolicy {
  #passthrough: boolean;
  #failsOpen: boolean;

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

  /** Takes the listener, encoded. Throws `invalid` PROXY_VIRTUAL_OUTBOUND, and what was there stays. */
  replace(bytes: Uint8Array): void {
    const cluster = clusterOf(bytes);
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
  }

  clear(): void {
    this.#failsOpen = false;
    this.#passthrough = false;
  }
}

function clusterOf(bytes: Uint8Array): string | undefined {
  let config;
  try {
    config = fromBinary(ListenerSchema, bytes).defaultFilterChain?.filters[0]?.configType;
  } catch {
    return undefined;
  }
  const proxy = unpackAny(config?.case === "typedConfig" ? config.value : undefined, TcpProxySchema);
  const specifier = proxy?.clusterSpecifier;
  return specifier?.case === "cluster" ? specifier.value : undefined;
}
