import { bracketed, formatAddress } from "@tulle/base";
import type {
  EndpointPart,
  HttpChain,
  OutboundChain,
  Snapshot,
  SnapshotSource,
  WorkloadLabels,
} from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import { isVirtualIp } from "../dns/virtual-ips.js";
import type { ConnectListener, OutsideWays, RequestSource } from "../stream/contract.js";
import { originalEndpoint } from "../upstream/original-endpoint.js";
import type { Redirected } from "./interception.js";

const NO_ADDRESSES: ReadonlySet<string> = new Set();

/** Requests of the application, from a loopback listener. One object per connection. */
export class OutboundSource implements RequestSource {
  readonly direction = "outbound";
  readonly ownCaller = true;
  readonly fixedAuthority: string;
  localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId = "";
  readonly forwardedClientCert = "";
  readonly forwardedFor = "";
  readonly serverName = "";
  readonly secure = false;
  readonly revoked = false;
  readonly #configuration: SnapshotSource;
  readonly #connections: ConnectionSet;
  /** For a redirected connection: the service that its destination stands for. */
  fallbackAuthority: string | undefined = undefined;
  #ownAddresses: ReadonlySet<string>;
  readonly #onUse: ((authority: string) => void) | undefined;
  originalEndpoint: EndpointPart | undefined = undefined;
  connects: ConnectListener | undefined = undefined;
  outside: OutsideWays | undefined = undefined;
  #snapshot: Snapshot | undefined;
  #authority = "";
  #chain: HttpChain | undefined | null;

  /** `fixedAuthority` "" = each request names its service. `onUse` is told which service a request is for. */
  constructor(
    fixedAuthority: string,
    localAddress: string,
    remoteAddress: string,
    ownAddresses: ReadonlySet<string>,
    configuration: SnapshotSource,
    connections: ConnectionSet,
    onUse: ((authority: string) => void) | undefined,
  ) {
    this.fixedAuthority = fixedAuthority;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    this.#ownAddresses = ownAddresses;
    this.#configuration = configuration;
    this.#connections = connections;
    this.#onUse = onUse;
  }

  /**
   * The connection was redirected on its way to a service. Each request goes to the service that its Host names, and
   * where the mesh knows none by that name to this one.
   */
  redirectedTo({ authority, destination }: Redirected): void {
    this.fallbackAuthority = authority;
    this.localAddress = formatAddress(destination.host, destination.port);
    if (!isVirtualIp(destination.host)) this.originalEndpoint = originalEndpoint(destination);
    // Nobody who was redirected means this listener by whatever Host says.
    this.#ownAddresses = NO_ADDRESSES;
  }

  get closing(): boolean {
    return this.#connections.draining;
  }

  isOwnAddress(authority: string): boolean {
    return this.#ownAddresses.has(authority);
  }

  peerOf(): WorkloadLabels | undefined {
    return undefined;
  }

  chain(authority: string): HttpChain | undefined | null {
    if (authority === "") return null;
    this.#onUse?.(authority);
    const snapshot = this.#configuration.current;
    if (snapshot !== this.#snapshot || authority !== this.#authority) {
      this.#snapshot = snapshot;
      this.#authority = authority;
      const chain = snapshot.outbound(authority);
      this.#chain = chain && httpOf(chain);
    }
    return this.#chain;
  }
}

/** Null where an authority carries no HTTP. */
function httpOf(chain: OutboundChain): HttpChain | null {
  if (chain.protocol === "detected") return chain.http ?? null;
  return chain.protocol === "http" ? chain : null;
}

/** The spellings of Host by which a client means a listener on `host:port` itself. */
export function ownAddresses(host: string, port: number): ReadonlySet<string> {
  const names = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", bracketed(host)];
  return new Set(names.map((name) => `${name}:${port}`));
}
