import type { GatewayListener } from "../k8s-gateway/type.js";

/** Listeners that are added to a Gateway by others than its owner, in Gateway API's vocabulary (`ListenerSet`). */
export interface ListenerSetSpec {
  /** A Gateway that allows it. */
  readonly parentRef: {
    readonly group?: string;
    readonly kind?: string;
    readonly name: string;
    /** Default: the object's own. */
    readonly namespace?: string;
  };
  /** 1 to 64, with different names. Those of the Gateway and of older sets come first. */
  readonly listeners: readonly GatewayListener[];
}
