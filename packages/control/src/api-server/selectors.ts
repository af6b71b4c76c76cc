import { MeshError } from "@tulle/base";

/** Whether an object's labels are selected. */
export type LabelPredicate = (labels: Readonly<Record<string, string>>) => boolean;

const MAX_SELECTOR_LENGTH = 4096;

/**
 * Compiles a Kubernetes label selector: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
 * Throws `invalid` API_SELECTOR.
 */
export function parseLabelSelector(text: string): LabelPredicate {
  const requirements = splitTopLevel(text).map(parseRequirement);
  return (labels) => requirements.every((holds) => holds(labels));
}

/** One comparison of a field selector. */
export interface FieldRequirement {
  /** `metadata.name`, `involvedObject.uid` … */
  readonly path: string;
  readonly value: string;
  readonly negated: boolean;
}

/** Parses `metadata.name=x,metadata.namespace!=y`. Throws `invalid` API_SELECTOR. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  if (text.length > MAX_SELECTOR_LENGTH) throw invalid(text, "it is too long");
  return text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^([A-Za-z0-9_.-]+)(!=|==|=)(.*)$/s.exec(part.trim());
      if (match === null) throw invalid(text, "expected field=value");
      return { path: match[1] ?? "", negated: match[2] === "!=", value: match[3] ?? "" };
    });
}

function splitTopLevel(text: string): readonly string[] {
  if (text.length > MAX_SELECTOR_LENGTH) throw invalid(text, "it is too long");
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === undefined || (char === "," && depth === 0)) {
      const part = text.slice(start, i).trim();
      if (part !== "") parts.push(part);
      start = i + 1;
    }
  }
  if (depth !== 0) throw invalid(text, "a parenthesis is not closed");
  return parts;
}

function parseRequirement(text: string): LabelPredicate {
  const key = "([A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?)";
  const set = new RegExp(`^${key}\\s+(in|notin)\\s+\\(([^()]*)\\)$`).exec(text);
  if (set !== null) {
    const name = set[1] ?? "";
    const values = new Set((set[4] ?? "").split(",").map((value) => value.trim()));
    const wanted = set[3] === "in";
    return (labels) => values.has(label(labels, name) ?? "\u0000") === wanted;
  }
  const equality = new RegExp(`^${key}\\s*(==|=|!=)\\s*([A-Za-z0-9_.-]*)$`).exec(text);
  if (equality !== null) {
    const name = equality[1] ?? "";
    const value = equality[4] ?? "";
    const wanted = equality[3] !== "!=";
    return (labels) => (label(labels, name) === value) === wanted;
  }
  const existence = new RegExp(`^(!?)\\s*${key}$`).exec(text);
  if (existence === null) throw invalid(text, "expected key, key=value or key in (a, b)");
  const name = existence[2] ?? "";
  const wanted = existence[1] !== "!";
  return (labels) => (label(labels, name) !== undefined) === wanted;
}

function label(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

function invalid(text: string, why: string): MeshError {
  return new MeshError(
    "invalid",
    "API_SELECTOR",
    `cannot read the selector ${JSON.stringify(text.slice(0, 80))}: ${why}`,
  );
}
