import { FINDING_LEVELS, objectText } from "@tulle/api";

import { renderStructured } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";
import type { PlacedFinding } from "./written-findings.js";

const ISTIO_DOCUMENTATION = "https://istio.io/latest/docs/reference/config/analysis";

/** Worst first; then where they stand, then by object and field. */
export function byPlace(a: PlacedFinding, b: PlacedFinding): number {
  return (
    FINDING_LEVELS.indexOf(b.level) - FINDING_LEVELS.indexOf(a.level) ||
    compare(a.position?.source ?? "", b.position?.source ?? "") ||
    (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
    (a.position?.column ?? 0) - (b.position?.column ?? 0) ||
    compare(originOf(a), originOf(b)) ||
    compare(a.path, b.path) ||
    compare(a.code, b.code) ||
    compare(a.message, b.message)
  );
}

/** As text for people, or as a list with the members that `istioctl analyze -o json` has, and more. */
export async function renderFindings(
  findings: readonly PlacedFinding[],
  output: "text" | "json" | "yaml",
  colors: boolean,
): Promise<string> {
  if (output === "text") return findings.map((one) => renderText(one, colors)).join("");
  return renderStructured(
    output,
    findings.map((one) => ({
      code: one.code,
      name: one.name,
      level: one.level,
      origin: originOf(one),
      ...(one.position === undefined ? {} : { reference: referenceOf(one) }),
      ...(one.path === "" ? {} : { path: one.path }),
      message: one.message,
      remedy: one.remedy,
      ...(one.code.startsWith("IST")
        ? { documentationUrl: `${ISTIO_DOCUMENTATION}/${one.code.toLowerCase()}/` }
        : {}),
    })),
  );
}

/** `Error [IST0101] (VirtualService default/reviews canary.yaml:12:9) spec.http[0]…: there is no …`, then what to do. */
function renderText(one: PlacedFinding, colors: boolean): string {
  const where = [originOf(one), referenceOf(one)].filter((part) => part !== "").join(" ");
  const text = one.path === "" ? one.message : `${one.path}: ${one.message}`;
  return `${paint(one, colors)} [${one.code}] ${terminalText(`(${where}) ${text}`)}\n    ${one.remedy}\n`;
}

function originOf({ object }: PlacedFinding): string {
  return object === undefined ? "" : objectText(object);
}

function referenceOf({ position }: PlacedFinding): string {
  return position === undefined ? "" : `${position.source}:${position.line}:${position.column}`;
}

function paint({ level }: PlacedFinding, colors: boolean): string {
  if (!colors) return level;
  const color = level === "Error" ? 31 : level === "Warning" ? 33 : 36;
  return `\u001b[${color}m${level}\u001b[0m`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
