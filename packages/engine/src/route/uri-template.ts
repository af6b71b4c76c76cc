import type { RE2JS } from "re2js";
import { invalid } from "../snapshot/invalid.js";
import { pathEnd, type PathTest } from "./path-end.js";
import type { PathRewrite } from "./path-rewrite.js";
import { compileRegex } from "./regex.js";

/** Envoy's bounds. */
const MAX_LENGTH = 256;
const MAX_VARIABLES = 5;
const MAX_NAME_LENGTH = 16;

/** A literal text, `*` or `**`. */
const PIECE = /\*\*|\*|[-A-Za-z0-9._~%!$&'()+,;:@=/]+/y;
/** `{name}`, `{name=pattern}`. */
const VARIABLE = /\{([A-Za-z][A-Za-z0-9_]*)(?:=([^{}]+))?\}/y;

/**
 * A path template (Envoy's `uri_template`): `*` is one segment or a part of it, `**` any number of segments, `{name}` a
 * segment and `{name=videos/*}` several, kept under a name for rewriting. It becomes an RE2 expression, so that matching
 * takes linear time.
 */
export class UriTemplate {
  readonly text: string;
  readonly #regex: RE2JS;
  /** In the order of the expression's groups. */
  readonly #variables: readonly string[];

  constructor(field: string, text: string, ignoreCase: boolean) {
    this.text = text;
    const variables: string[] = [];
    const pattern = expressionOf(field, text, variables);
    this.#variables = variables;
    this.#regex = compileRegex(field, { regex: `${ignoreCase ? "(?i)" : ""}${pattern}` });
  }

  readonly test: PathTest = (path, end) =>
    this.#regex.testExact(end === path.length ? path : path.slice(0, end));

  /** Rewrites what the template matches: `{name}` stands for what the variable took. */
  rewrite(field: string, text: string): PathRewrite {
    checkStart(field, text);
    const parts: (string | number)[] = [];
    for (let index = 0; index < text.length;) {
      const variable = read(VARIABLE, text, index);
      const literal = variable === undefined ? read(PIECE, text, index) : undefined;
      if (variable !== undefined && variable[2] === undefined) {
        const group = this.#variables.indexOf(variable[1] ?? "");
        if (group === -1)
          throw invalid(field, `names {${variable[1]}}, which the path's template does not have`);
        parts.push(group + 1);
      } else if (literal !== undefined && !literal[0].startsWith("*")) parts.push(literal[0]);
      else throw unreadable(field, text, index);
      index += (variable ?? literal)![0].length;
    }
    return (path) => {
      const end = pathEnd(path);
      const match = this.#regex.matcher(path.slice(0, end));
      // The route was taken because it matches.
      if (!match.matches()) return path;
      return (
        parts.map((part) => (typeof part === "string" ? part : (match.group(part) ?? ""))).join("") +
        path.slice(end)
      );
    };
  }
}

/** Reads a template; the names of its variables go to `variables`. */
function expressionOf(field: string, text: string, variables: string[]): string {
  checkStart(field, text);
  let expression = "";
  let isOver = false;
  const operator = (wildcard: string): string => {
    if (isOver) throw invalid(field, "has an operator after **, which must be the last one");
    isOver = wildcard === "**";
    return isOver ? ".*" : "[^/]+";
  };
  for (let index = 0; index < text.length;) {
    const variable = read(VARIABLE, text, index);
    if (variable !== undefined) {
      const [all, name = "", pattern = "*"] = variable;
      addVariable(field, name, variables);
      expression += `(${piecesOf(field, pattern, 0, pattern.length, operator)})`;
      index += all.length;
      continue;
    }
    const next = text.indexOf("{", index);
    const end = next === -1 ? text.length : next;
    if (end === index) throw unreadable(field, text, index);
    expression += piecesOf(field, text, index, end, operator);
    index = end;
  }
  return expression;
}

function piecesOf(
  field: string,
  text: string,
  start: number,
  end: number,
  operator: (wildcard: string) => string,
): string {
  let expression = "";
  for (let index = start; index < end;) {
    const piece = read(PIECE, text, index)?.[0];
    if (piece === undefined) throw unreadable(field, text, index);
    expression += piece.startsWith("*") ? operator(piece) : piece.replaceAll(/[$().+]/g, "\\$&");
    index += piece.length;
  }
  return expression;
}

function addVariable(field: string, name: string, variables: string[]): void {
  if (name.length > MAX_NAME_LENGTH)
    throw invalid(field, `names a variable of more than ${MAX_NAME_LENGTH} characters`);
  if (variables.includes(name)) throw invalid(field, `has the variable {${name}} twice`);
  if (variables.length === MAX_VARIABLES) throw invalid(field, `has more than ${MAX_VARIABLES} variables`);
  variables.push(name);
}

function checkStart(field: string, text: string): void {
  if (!text.startsWith("/")) throw invalid(field, "must start with /");
  if (text.includes("//")) throw invalid(field, "must not hold //");
  if (text.length > MAX_LENGTH) throw invalid(field, `is longer than ${MAX_LENGTH} characters`);
}

function read(pattern: RegExp, text: string, index: number): RegExpExecArray | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text) ?? undefined;
}

function unreadable(field: string, text: string, index: number): Error {
  return invalid(field, `cannot be read from ${JSON.stringify(text.slice(index, index + 20))} on`);
}
