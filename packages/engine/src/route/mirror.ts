import type { RouteAction_RequestMirrorPolicy } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { MirrorPlan, Plan } from "../contract.js";
import { saltOf } from "../entropy.js";
import type { Provenance, Snapshot } from "../snapshot/contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileFraction, probabilityOf } from "./fraction.js";
import type { FractionTest, KeyedFraction } from "./fraction.js";
import { BARE_WAY, Way } from "./way.js";

/** The route whose requests are copied. */
interface MirroredRoute {
  readonly routeName: string;
  /** The route's name among all tables. */
  readonly place: string;
  readonly timeoutMs: number;
  readonly provenance: Provenance;
}

/** Compiles a route's mirror policies; undefined when there are none. */
export function compileMirrors(
  field: string,
  policies: readonly RouteAction_RequestMirrorPolicy[],
  route: MirroredRoute,
): readonly Mirror[] | undefined {
  if (policies.length === 0) return undefined;
  return policies.map((policy, index) => new Mirror(`${field}[${index}]`, policy, route, index));
}

/** Copies of a share of the requests to one cluster, compiled once with the route. */
export class Mirror implements MirrorPlan {
  readonly clusterName: string;
  readonly marksHost: boolean;
  readonly #fraction: KeyedFraction | undefined;
  readonly #share: FractionTest | undefined;
  readonly #way: Way;

  constructor(field: string, policy: RouteAction_RequestMirrorPolicy, route: MirroredRoute, index: number) {
    if (policy.clusterHeader !== "")
      throw invalid(at(field, "cluster_header"), "is not supported: set cluster");
    if (policy.cluster === "") throw invalid(at(field, "cluster"), "must not be empty");
    this.clusterName = policy.cluster;
    this.marksHost = !policy.disableShadowHostSuffixAppend;
    const fraction = policy.runtimeFraction?.defaultValue && policy.runtimeFraction;
    this.#fraction = fraction;
    const salt = saltOf(`${route.place}/mirror/${index}`);
    this.#share =
      fraction === undefined ? undefined : compileFraction(at(field, "runtime_fraction"), fraction, salt);
    this.#way = new Way({
      ...BARE_WAY,
      routeName: route.routeName,
      clusterName: policy.cluster,
      timeoutMs: route.timeoutMs,
      provenance: route.provenance,
    });
  }

  takes(entropy: number, { runtime }: Snapshot): boolean {
    return this.#share === undefined || this.#share(entropy, runtime);
  }

  probability({ runtime }: Snapshot): number {
    return this.#fraction === undefined ? 1 : probabilityOf(this.#fraction, runtime);
  }

  plan(snapshot: Snapshot): Plan {
    return this.#way.plan(snapshot);
  }
}

/** `-shadow` behind the host and before its port, by which servers tell copies from requests (Envoy's rule). */
export function shadowHost(authority: string): string {
  const colon = authority.endsWith("]") ? -1 : authority.lastIndexOf(":");
  return colon < 0 ? `${authority}-shadow` : `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}
