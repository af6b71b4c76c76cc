import type { ClusterPart, InboundListener, OutboundChain, Snapshot, TlsSecret } from "./contract.js";
import { Chain } from "./chain.js";
import type { RuntimeValues } from "../route/runtime-values.js";
import type { LinkedCluster } from "./linked-cluster.js";
import type { ActiveListener } from "./listeners.js";
import { CompiledDetectedChain } from "./detected-chain.js";
import { BytesChain } from "./tcp-settings.js";

/** An immutable state: maps that later states share as far as nothing in them has changed. */
export class CompiledSnapshot implements Snapshot {
  readonly sequence: number;
  readonly listeners: ReadonlyMap<string, ActiveListener>;
  readonly absentListeners: ReadonlySet<string>;
  readonly linkedClusters: ReadonlyMap<string, LinkedCluster>;
  readonly secrets: ReadonlyMap<string, TlsSecret>;
  readonly runtime: RuntimeValues;

  constructor(
    sequence: number,
    listeners: ReadonlyMap<string, ActiveListener>,
    absentListeners: ReadonlySet<string>,
    linkedClusters: ReadonlyMap<string, LinkedCluster>,
    secrets: ReadonlyMap<string, TlsSecret>,
    runtime: RuntimeValues,
  ) {
    this.sequence = sequence;
    this.listeners = listeners;
    this.absentListeners = absentListeners;
    this.linkedClusters = linkedClusters;
    this.secrets = secrets;
    this.runtime = runtime;
  }

  outbound(name: string): OutboundChain | undefined | null {
    const value = this.listeners.get(name)?.value;
    if (isOutbound(value)) return value;
    return value !== undefined || this.absentListeners.has(name) ? null : undefined;
  }

  inbound(name: string): InboundListener | undefined {
    const value = this.listeners.get(name)?.value;
    return isOutbound(value) ? undefined : value;
  }

  clusters(): Iterable<ClusterPart> {
    return this.linkedClusters.values();
  }

  cluster(name: string): ClusterPart | undefined {
    return this.linkedClusters.get(name);
  }

  secret(name: string): TlsSecret | undefined {
    return this.secrets.get(name);
  }
}

function isOutbound(
  value: ActiveListener["value"] | undefined,
): value is Chain | BytesChain | CompiledDetectedChain {
  return value instanceof Chain || value instanceof BytesChain || value instanceof CompiledDetectedChain;
}
