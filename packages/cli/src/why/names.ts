import { kindOf } from "@tulle/engine";

/** `VirtualService default/back http[2]` for the object and rule that a route comes from; "" for none. */
export function ownerInWords({ config, rule }: { readonly config: string; readonly rule: string }): string {
  const [, namespace, kind, name] = /\/namespaces\/([^/]*)\/([^/]+)\/([^/]+)$/.exec(config) ?? [];
  if (kind === undefined) return "";
  return `${kindOf(kind)} ${namespace}/${name}${rule === "" ? "" : ` ${rule}`}`;
}

/** `back.default.svc.cluster.local port 8080, subset v2` for a cluster's name; other names as they are. */
export function clusterInWords(cluster: string): string {
  const [direction, port, subset, host, ...rest] = cluster.split("|");
  if (host === undefined || rest.length > 0 || !/^\d+$/.test(port ?? "")) return cluster;
  if (direction === "inbound") return `the application (${host} port ${port})`;
  return `${host} port ${port}${subset === "" ? "" : `, subset ${subset}`}`;
}
