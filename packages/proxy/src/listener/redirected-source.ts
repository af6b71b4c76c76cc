import type { SnapshotSource } from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import { OutboundSource } from "./outbound-source.js";

const NO_ADDRESSES: ReadonlySet<string> = new Set();

/**
 * Requests on a connection that was redirected on its way to a virtual IP: each goes to the service that its Host names,
 * and where the mesh knows none by that name to the one that the address stands for.
 */
export class RedirectedSource extends OutboundSource {
  readonly fallbackAuthority: string;

  constructor(
    fallbackAuthority: string,
    localAddress: string,
    remoteAddress: string,
    configuration: SnapshotSource,
    connections: ConnectionSet,
    onUse: (authority: string) => void,
  ) {
    // Nobody who was redirected means this listener by whatever Host says.
    super("", localAddress, remoteAddress, NO_ADDRESSES, configuration, connections, onUse);
    this.fallbackAuthority = fallbackAuthority;
  }
}
