import type { MeshObject } from "@tulle/api";
import type { ClientView } from "./contract.js";

/** Whether a client in `clientNamespace` sees an object of `namespace` with this `exportTo`. Default: everybody does. */
export function isExported(
  exportTo: readonly string[] | undefined,
  namespace: string,
  clientNamespace: string,
): boolean {
  if (exportTo === undefined || exportTo.length === 0) return true;
  return exportTo.some(
    (target) =>
      target === "*" || (target === "." ? namespace === clientNamespace : target === clientNamespace),
  );
}

/** Whether a workload's labels hold all of `selector`. An empty selector selects everything. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}

/** Order in which objects win over each other: the oldest first, then by namespace and name. */
export function byAge(left: MeshObject, right: MeshObject): number {
  const a = left.metadata;
  const b = right.metadata;
  return (
    compare(createdAt(left), createdAt(right)) || compare(a.namespace, b.namespace) || compare(a.name, b.name)
  );
}

/** Whether an object's `sourceLabels` and `sourceNamespace` name the client. */
export function isSource(
  match: { readonly sourceLabels?: Readonly<Record<string, string>>; readonly sourceNamespace?: string },
  view: ClientView,
): boolean {
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== view.namespace) return false;
  return selects(match.sourceLabels, view.labels);
}

function createdAt(object: MeshObject): number {
  const time = Date.parse(object.metadata.creationTimestamp);
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
