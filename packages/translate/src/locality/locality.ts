import type { Locality } from "@tulle/api";

/** Istio's label: `region.zone.subzone`, or with slashes where labels may hold them. It wins over the others. */
const LOCALITY_LABEL = "istio-locality";
/** Kubernetes' and Istio's labels of nodes. */
export const REGION_LABEL = "topology.kubernetes.io/region";
export const ZONE_LABEL = "topology.kubernetes.io/zone";
export const SUBZONE_LABEL = "topology.istio.io/subzone";

type Labels = Readonly<Record<string, string>>;

/** Where a workload says that it is; undefined when it does not. */
export function localityOfLabels(labels: Labels): Locality | undefined {
  const written = label(labels, LOCALITY_LABEL);
  if (written !== "") return parseLocality(written.includes("/") ? written : written.replaceAll(".", "/"));
  const region = label(labels, REGION_LABEL);
  const zone = label(labels, ZONE_LABEL);
  const subzone = label(labels, SUBZONE_LABEL);
  return region === "" && zone === "" && subzone === "" ? undefined : { region, zone, subzone };
}

/** `region/zone/subzone`, each but the first optional; undefined when it is empty. */
export function parseLocality(text: string | undefined): Locality | undefined {
  if (text === undefined || text === "") return undefined;
  const [region = "", zone = "", subzone = ""] = text.split("/");
  return { region, zone, subzone };
}

/** Labels with those of the locality, which count as said where a workload has a locality by other means. */
export function withLocalityLabels(labels: Labels, locality: Locality | undefined): Labels {
  if (locality === undefined) return labels;
  return {
    ...(locality.region !== "" && { [REGION_LABEL]: locality.region }),
    ...(locality.zone !== "" && { [ZONE_LABEL]: locality.zone }),
    ...(locality.subzone !== "" && { [SUBZONE_LABEL]: locality.subzone }),
    ...labels,
  };
}

/** Whether a locality is one of a pattern such as `eu/a/*` or `eu`; what the pattern leaves out may be anything. */
export function matchesLocality(pattern: string, locality: Locality): boolean {
  const parts = [locality.region, locality.zone, locality.subzone];
  return pattern.split("/").every((part, index) => part === "" || part === "*" || part === parts[index]);
}

/** How many of region, zone and subzone two localities have in common, from the first on. */
export function commonParts(left: Locality, right: Locality | undefined): number {
  if (right === undefined || left.region !== right.region) return 0;
  if (left.zone !== right.zone) return 1;
  return left.subzone === right.subzone ? 3 : 2;
}

function label(labels: Labels, key: string): string {
  return Object.hasOwn(labels, key) ? labels[key]! : "";
}
