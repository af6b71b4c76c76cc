import type { EngineRequest, Plan } from "../contract.js";
import type { ClusterPart, Snapshot } from "../snapshot/contract.js";
import { requestValue } from "./header-value.js";
import { ForwardPlan, type PlanSettings, UnknownCluster } from "./way.js";

/**
 * A route whose cluster the request names in a header (Envoy's `cluster_header`). Only clusters that the proxy knows for
 * another reason can be named: a client does not make it ask for any. Whatever else is named has no endpoints.
 */
export class HeaderWay {
  readonly settings: PlanSettings;
  readonly #header: string;
  readonly #nowhere: Plan;
  readonly #plans = new WeakMap<ClusterPart, Plan>();

  /** `header` is lower-case. */
  constructor(settings: PlanSettings, header: string) {
    this.settings = settings;
    this.#header = header;
    this.#nowhere = new ForwardPlan(settings, new UnknownCluster(""));
  }

  plan(snapshot: Snapshot, request: EngineRequest): Plan {
    const name = requestValue(request, this.#header);
    const cluster = name === undefined ? undefined : snapshot.cluster(name);
    if (cluster === undefined) return this.#nowhere;
    let plan = this.#plans.get(cluster);
    if (plan === undefined) this.#plans.set(cluster, (plan = new ForwardPlan(this.settings, cluster)));
    return plan;
  }
}
