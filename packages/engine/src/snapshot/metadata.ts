import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Metadata } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Provenance, WorkloadLabels } from "./contract.js";

/** Where Envoy keeps the labels of endpoints and what routes ask of them. */
export const LB_METADATA = "envoy.lb";

/** One of a message's `filter_metadata` objects, or undefined. */
export function filterMetadata(metadata: Metadata | undefined, filter: string): JsonObject | undefined {
  if (metadata === undefined || !Object.hasOwn(metadata.filterMetadata, filter)) return undefined;
  return metadata.filterMetadata[filter];
}

/** Who made this part of the configuration: Istio's `istio.config` and our `tulle.dev.rule`, "" where absent. */
export function provenanceOf(metadata: Metadata | undefined): Provenance {
  const config = text(filterMetadata(metadata, "istio"), "config");
  const rule = text(filterMetadata(metadata, "tulle.dev"), "rule");
  return config === "" && rule === "" ? NO_PROVENANCE : { config, rule };
}

const NO_PROVENANCE: Provenance = { config: "", rule: "" };

/** The workload behind an endpoint: `istio.workload` = `workload;namespace;canonical name;canonical revision;cluster`. */
export function workloadOf(metadata: Metadata | undefined): WorkloadLabels | undefined {
  const packed = text(filterMetadata(metadata, "istio"), "workload");
  if (packed === "") return undefined;
  const [workload = "", namespace = "", canonicalName = "", canonicalRevision = ""] = packed.split(";");
  return { workload, namespace, canonicalName, canonicalRevision };
}

/** Whether a route's weighted clusters are chosen by what it hashes (our `split: hash`), not by chance. */
export function splitsByHash(metadata: Metadata | undefined): boolean {
  return text(filterMetadata(metadata, "tulle.dev"), "split") === "hash";
}

/** Whether `value` has every field of `criteria` with an equal value (how transport socket matches are chosen). */
export function includes(value: JsonObject | undefined, criteria: JsonObject): boolean {
  for (const key of Object.keys(criteria)) {
    if (value === undefined || !Object.hasOwn(value, key)) return false;
    if (!equalJson(value[key]!, criteria[key]!)) return false;
  }
  return true;
}

/** Whether two values are the same, whatever the order of their fields. */
export function equalJson(left: JsonValue, right: JsonValue): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  const a = left as JsonObject;
  const b = right as JsonObject;
  return keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key]!, b[key]!));
}

function text(object: JsonObject | undefined, key: string): string {
  if (object === undefined || !Object.hasOwn(object, key)) return "";
  const value = object[key];
  return typeof value === "string" ? value : "";
}
