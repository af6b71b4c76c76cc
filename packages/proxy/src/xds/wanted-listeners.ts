import { LISTENER_TYPE, RESOLVED_NAMES_TYPE } from "@tulle/xds";

import { Demand } from "./demand.js";
import { VIRTUAL_OUTBOUND, type SidecarConfiguration } from "./sidecar-configuration.js";

/** Services named by requests are dropped after ten minutes without one. */
const DEMAND_KEEP_SWEEPS = 10;

/** Names a resource. */
interface ResourceName {
  readonly typeUrl: string;
  readonly name: string;
}

/**
 * The listeners that a sidecar subscribes to: those of its options always, those of services that requests name for as
 * long as they do.
 */
export class WantedListeners {
  /** Always subscribed to. */
  readonly fixed: ReadonlySet<string>;
  readonly #demand = new Demand(DEMAND_KEEP_SWEEPS);

  constructor(fixed: Iterable<string>) {
    this.fixed = new Set(fixed);
  }

  get names(): string[] {
    return [...this.fixed, ...this.#demand.names];
  }

  /** A request names a service. Returns whether that is new. */
  add(name: string): boolean {
    return !this.fixed.has(name) && this.#demand.add(name);
  }

  /** A request named a service that is subscribed to. */
  touch(name: string): void {
    this.#demand.touch(name);
  }

  /** Lets time pass. Returns whether names were dropped. */
  sweep(): boolean {
    return this.#demand.sweep();
  }

  /** Services that requests had named before the sidecar was restarted are still wanted: nobody should wait for them again. */
  addKept(kept: Iterable<ResourceName>): void {
    for (const { typeUrl, name } of kept) {
      if (typeUrl === LISTENER_TYPE && name !== VIRTUAL_OUTBOUND) this.add(name);
    }
  }

  /** What a kept configuration does not refer to any more is not subscribed to and would grow old. */
  forgetOthers(configuration: SidecarConfiguration, kept: Iterable<ResourceName>): void {
    const wanted = configuration.wanted(this.names);
    for (const { typeUrl, name } of kept) {
      // What names stand for goes with its cluster.
      if (typeUrl === RESOLVED_NAMES_TYPE) continue;
      if (wanted.get(typeUrl)?.has(name) !== true) configuration.forget(typeUrl, [name]);
    }
  }
}
