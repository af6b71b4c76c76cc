/** One cluster behind one route, for tests of balancing. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { affinityOf } from "../affinity/affinity-of.js";
import type { AttemptState, DecisionView, EngineRequest, PickFailure, Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { pick } from "../pick/pick.js";
import { route } from "../route/route.js";
import type { EndpointPart, HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import {
  apiListener,
  edsCluster,
  endpoints,
  request,
  routes,
  routeTo,
  type EndpointInit,
} from "./resources.js";

/** Cluster `c` with endpoints; `pick(entropy)` picks from it, `ask` routes a request and picks for it. */
export function balanced(
  list: readonly EndpointInit[],
  cluster: MessageInitShape<typeof ClusterSchema> = {},
  action: object = {},
  onRoute: MessageInitShape<typeof RouteSchema> = {},
) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const to = {
    match: routeTo("c").match!,
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "c" }, ...action } },
    ...(onRoute as object),
  } as MessageInitShape<typeof RouteSchema>;
  const rejections = source.apply([
    apiListener("l", "r"),
    routes("r", [to]),
    edsCluster("c", cluster),
    endpoints("c", list),
  ]);
  if (rejections.length > 0) throw new Error(rejections[0]!.message);
  const view = (entropy: number, now = 0): DecisionView => ({ snapshot: source.current, load, now, entropy });
  const planFor = (entropy: number, asked = request()): Plan =>
    route(view(entropy), source.current.outbound("l") as HttpChain, asked) as Plan;
  const plan = planFor(0);
  return {
    load,
    source,
    plan,
    view,
    slotOf: (address: string) =>
      source.current.cluster("c")!.endpoints.find((one) => one.host === address)!.slot,
    pick: (entropy: number, attempt: Partial<AttemptState> = {}, now = 0): EndpointPart | PickFailure =>
      pick(view(entropy, now), plan, { attempts: 0, triedSlots: [], ...attempt }),
    ask: (
      init: Partial<EngineRequest>,
      options: {
        readonly entropy?: number;
        readonly client?: string;
        readonly attempt?: Partial<AttemptState>;
      } = {},
    ) => {
      const { entropy = 0, client = "192.0.2.1" } = options;
      const asked = request(init);
      const chosen = planFor(entropy, asked);
      const affinity = affinityOf(view(entropy), chosen, asked, client);
      const attempt = { attempts: 0, triedSlots: [], ...options.attempt, affinity };
      return { plan: chosen, affinity, picked: pick(view(entropy), chosen, attempt) };
    },
  };
}

/** How often each host, or failure, is chosen. */
export function hosts(
  picks: number,
  choose: (entropy: number) => EndpointPart | PickFailure,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let entropy = 0; entropy < picks; entropy++) {
    const name = hostOf(choose(entropy));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

export function hostOf(picked: EndpointPart | PickFailure): string {
  return "kind" in picked ? picked.flag : picked.host;
}
