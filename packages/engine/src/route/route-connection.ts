import { MeshError } from "@tulle/base";
import type { DecisionView, Plan } from "../contract.js";
import type { Snapshot, TcpChain } from "../snapshot/contract.js";
import { BytesChain } from "../snapshot/tcp-settings.js";
import { traceSplit } from "./trace-route.js";
import { Way } from "./way.js";

/** Finds the way of a TCP connection: one of the chain's clusters by weight. Equal views give equal results. */
export function routeConnection(view: DecisionView, chain: TcpChain): Plan {
  if (!(chain instanceof BytesChain)) {
    throw new MeshError(
      "internal",
      "ENGINE_FOREIGN_CHAIN",
      "the chain does not come from a snapshot of this engine",
    );
  }
  const { target } = chain;
  if (target instanceof Way) return target.plan(view.snapshot);
  const way = target.choose(view.entropy);
  if (view.trace !== undefined) traceSplit(view.trace, target, way, "chance", view.entropy);
  return way.plan(view.snapshot);
}

/** Whether a way of a chain leads to where each connection was going (a cluster of type ORIGINAL_DST). */
export function followsDestination(snapshot: Snapshot, chain: TcpChain): boolean {
  if (!(chain instanceof BytesChain)) return false;
  const ways = chain.target instanceof Way ? [chain.target] : chain.target.choices;
  return ways.some((way) => way.plan(snapshot).cluster.originalDestination);
}
