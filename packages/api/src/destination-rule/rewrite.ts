import type { Path } from "../schema/path.js";
import { structAt, structsAt, type Mutable, type Rewrites } from "../schema/rewrite.js";

/** Fields that Istio's definition declares nullable: null means absent. */
const NULLABLE = {
  outlierDetection: ["consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"],
  warmup: ["minimumPercent", "aggression"],
  localityLbSetting: ["enabled"],
  zoneAwareLbSetting: ["enabled"],
} as const;

/** Deprecated fields of DestinationRule → their successors. */
export function rewriteDestinationRule(spec: Mutable, rewrites: Rewrites): void {
  const holders: (readonly [Mutable, Path])[] = [[spec, ["spec"]], ...structsAt(spec, ["spec"], "subsets")];
  for (const [holder, path] of holders) {
    const policy = structAt(holder, "trafficPolicy");
    if (policy === undefined) continue;
    const at = [...path, "trafficPolicy"];
    rewritePolicy(policy, at, rewrites);
    for (const [settings, below] of structsAt(policy, at, "portLevelSettings"))
      rewritePolicy(settings, below, rewrites);
  }
}

function rewritePolicy(policy: Mutable, path: Path, rewrites: Rewrites): void {
  const outlier = structAt(policy, "outlierDetection");
  if (outlier !== undefined) {
    rewrites.move(outlier, [...path, "outlierDetection"], "consecutiveErrors", ["consecutive5xxErrors"]);
    dropNulls(outlier, NULLABLE.outlierDetection);
  }
  const balancer = structAt(policy, "loadBalancer");
  if (balancer === undefined) return;
  const at = [...path, "loadBalancer"];
  rewrites.move(balancer, at, "warmupDurationSecs", ["warmup"], (duration) => ({ duration }));
  if (balancer["simple"] === "LEAST_CONN") rewrites.replace(balancer, at, "simple", "LEAST_REQUEST");
  const hash = structAt(balancer, "consistentHash");
  if (hash !== undefined) {
    rewrites.move(hash, [...at, "consistentHash"], "minimumRingSize", ["ringHash", "minimumRingSize"]);
  }
  for (const name of ["warmup", "localityLbSetting", "zoneAwareLbSetting"] as const) {
    const setting = structAt(balancer, name);
    if (setting !== undefined) dropNulls(setting, NULLABLE[name]);
  }
}

function dropNulls(fields: Mutable, names: readonly string[]): void {
  for (const name of names) if (fields[name] === null) delete fields[name];
}
