import type { MeshObject } from "../kind.js";
import { ANALYSIS_CODES } from "./codes.js";
import type { Finding } from "./finding.js";

/** Annotation of objects whose findings of some codes (`IST0107,IST0130`, or `*`) nobody wants to see (Istio's). */
export const SUPPRESS_ANNOTATION = "galley.istio.io/analyze-suppress";

/** Findings of one code in objects that match, as a user wrote it: `IST0130=VirtualService *.shop`. */
export interface Suppression {
  readonly code: string;
  /** Undefined = of any kind. */
  readonly kind: string | undefined;
  /** `name` or `name.namespace`, with `*` for any characters. */
  readonly name: string;
}

/**
 * Reads `CODE=KIND NAME[.NAMESPACE]` or `CODE=NAME[.NAMESPACE]`; `*` in the name stands for any characters. A string says
 * what is wrong.
 */
export function parseSuppression(text: string): Suppression | string {
  const parts = /^([A-Z]{3}\d{4})=(?:([A-Za-z]+) )?([A-Za-z0-9*._-]+)$/.exec(text.trim());
  if (parts === null) return `expected CODE=KIND NAME.NAMESPACE, such as "IST0130=VirtualService *.shop"`;
  const [, code = "", kind, name = ""] = parts;
  if (!Object.hasOwn(ANALYSIS_CODES, code)) return `${code} is no code that Tulle's analysis has`;
  return { code, kind, name };
}

/** Whether one of the suppressions is for a finding. */
export function isSuppressed(finding: Finding, suppressions: readonly Suppression[]): boolean {
  const { kind, name, namespace } = finding.object;
  return suppressions.some(
    (suppression) =>
      suppression.code === finding.code &&
      (suppression.kind === undefined || suppression.kind.toLowerCase() === kind.toLowerCase()) &&
      (matches(suppression.name, `${name}.${namespace}`) || matches(suppression.name, name)),
  );
}

/** Whether the object itself says that findings of a code are not wanted. */
export function suppresses({ metadata }: Pick<MeshObject, "metadata">, code: string): boolean {
  const written = metadata.annotations?.[SUPPRESS_ANNOTATION];
  return written !== undefined && written.split(",").some((one) => ["*", code].includes(one.trim()));
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*");
  const [first = ""] = parts;
  if (parts.length === 1) return pattern === text;
  const last = parts.at(-1) ?? "";
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
