import type { MeshObject, ObjectKey } from "../kind.js";
import { parseApiVersion } from "../api-version.js";
import { ANALYSIS_CODES, FINDING_LEVELS, type FindingCode, type FindingLevel } from "./codes.js";

/** Something that analysis found in an object. */
export interface Finding {
  readonly code: FindingCode;
  readonly name: string;
  readonly level: FindingLevel;
  readonly object: ObjectKey;
  /** Field in kubectl's notation; "" = the object as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** A finding of a code, with what the code says of all its findings. */
export function finding(code: FindingCode, object: ObjectKey, path: string, message: string): Finding {
  const { name, level, remedy } = ANALYSIS_CODES[code];
  return { code, name, level, object, path, message, remedy };
}

/** Whether a level is `threshold` or worse. */
export function isAtLeast(level: FindingLevel, threshold: FindingLevel): boolean {
  return FINDING_LEVELS.indexOf(level) >= FINDING_LEVELS.indexOf(threshold);
}

/** Worst first; then by object, path, code and message: the same findings are always in the same order. */
export function byWeight(a: Finding, b: Finding): number {
  return (
    FINDING_LEVELS.indexOf(b.level) - FINDING_LEVELS.indexOf(a.level) ||
    compare(objectText(a.object), objectText(b.object)) ||
    compare(a.path, b.path) ||
    compare(a.code, b.code) ||
    compare(a.message, b.message)
  );
}

/** `VirtualService default/reviews`; cluster-scoped objects by their name alone. */
export function objectText({ kind, namespace, name }: ObjectKey): string {
  return `${kind} ${namespace === "" ? name : `${namespace}/${name}`}`;
}

/** Names a stored object. */
export function objectKey({ apiVersion, kind, metadata }: MeshObject): ObjectKey {
  const group = parseApiVersion(apiVersion)?.group ?? "";
  return { group, kind, namespace: metadata.namespace, name: metadata.name };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What `POST /tulle/v1/analyze` takes: objects as if they were applied, and what to look at. */
export interface AnalysisQuestion {
  /** In wire form. */
  readonly objects?: readonly unknown[];
  /** "" = all namespaces. */
  readonly namespace?: string;
  /** Whether stored objects are looked at too, or those of the question only. Default true. */
  readonly all?: boolean;
}

/** What it answers. */
export interface AnalysisAnswer {
  readonly findings: readonly Finding[];
}
