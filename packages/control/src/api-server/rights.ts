import { ADMISSION_GROUP, ALL_NAMESPACES, type AccessAction, type Kind } from "@tulle/api";
import type { Context } from "hono";

import { callerOf } from "../access/index.js";
import type { ResourcePath } from "./resource-path.js";

const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** What a request for a path of the resource API wants to do. Paths of no namespace are of the whole mesh. */
export function actionOf(method: string, { kind, namespace, name }: ResourcePath): AccessAction {
  const resource = kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
  return {
    verb: READS.has(method) ? "read" : "write",
    kind: rightOf(kind),
    namespace: namespace ?? ALL_NAMESPACES,
    object: name === undefined ? resource : `${resource}/${name}`,
  };
}

function rightOf({ group, kind }: Kind): AccessAction["kind"] {
  if (group === ADMISSION_GROUP) return "admission-policy";
  return group === "" && kind === "Secret" ? "secret" : "config";
}

/** For what tells which kinds and versions are served. */
export function requireDiscovery(c: Context): void {
  callerOf(c).require({ verb: "read", kind: "discovery", namespace: ALL_NAMESPACES });
}
