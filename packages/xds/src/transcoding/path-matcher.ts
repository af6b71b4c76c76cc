import type { PathTemplate, TemplateSegment, TemplateVariable } from "./path-template.js";

/** What a path was found to be. */
export interface PathMatch<Value> {
  readonly value: Value;
  /** Values of the template's variables, still percent-encoded. */
  readonly variables: readonly { readonly variable: TemplateVariable; readonly text: string }[];
}

interface Entry<Value> {
  readonly template: PathTemplate;
  readonly value: Value;
}

/** By `METHOD:verb`. */
type Entries<Value> = Map<string, Entry<Value>>;

/** What may stand behind a part of a path. */
interface Node<Value> {
  readonly literals: Map<string, Node<Value>>;
  any: Node<Value> | undefined;
  /** Templates that go on with `**`, by the literals behind that. */
  readonly rest: { readonly suffix: readonly string[]; readonly entries: Entries<Value> }[];
  readonly entries: Entries<Value>;
}

/** A method that stands for all. */
const ANY_METHOD = "*";

/**
 * Finds the template that a path fits. Literals go before `*`, and that before `**`, segment by segment. The time is
 * bounded by the number of templates, whatever the path.
 */
export class PathMatcher<Value> {
  readonly #root: Node<Value> = makeNode();
  readonly #verbs = new Set<string>();
  readonly #matchesOtherVerbs: boolean;

  /** `matchesOtherVerbs`: what follows the last colon of a path is a verb even where no template has that one. */
  constructor(matchesOtherVerbs = false) {
    this.#matchesOtherVerbs = matchesOtherVerbs;
  }

  /** False when another template fits the same paths: the first one counts. */
  add(method: string, template: PathTemplate, value: Value): boolean {
    let node = this.#root;
    let entries: Entries<Value> | undefined;
    for (const [index, segment] of template.segments.entries()) {
      if (segment.kind === "rest") {
        entries = restOf(node, template.segments.slice(index + 1));
        break;
      }
      node = childOf(node, segment);
    }
    entries ??= node.entries;
    const key = `${method}:${template.verb}`;
    if (entries.has(key)) return false;
    if (template.verb !== "") this.#verbs.add(template.verb);
    entries.set(key, { template, value });
    return true;
  }

  /** `path`: without its query. */
  find(method: string, path: string): PathMatch<Value> | undefined {
    if (!path.startsWith("/")) return undefined;
    const colon = path.lastIndexOf(":");
    const verb = colon > path.lastIndexOf("/") ? path.slice(colon + 1) : "";
    if (verb !== "" && (this.#matchesOtherVerbs || this.#verbs.has(verb))) {
      const found = this.#findAt(method, path.slice(1, colon), verb);
      if (found !== undefined || this.#matchesOtherVerbs) return found;
    }
    return this.#findAt(method, path.slice(1), "");
  }

  #findAt(method: string, path: string, verb: string): PathMatch<Value> | undefined {
    const segments = path.split("/");
    const keys = [`${method}:${verb}`, `${ANY_METHOD}:${verb}`];
    const entry = walk(this.#root, segments, 0, keys);
    if (entry === undefined) return undefined;
    const { template, value } = entry;
    return {
      value,
      variables: template.variables.map((variable) => ({
        variable,
        text: textOf(variable, template.segments, segments),
      })),
    };
  }
}

function makeNode<Value>(): Node<Value> {
  return { literals: new Map(), any: undefined, rest: [], entries: new Map() };
}

function childOf<Value>(node: Node<Value>, segment: TemplateSegment): Node<Value> {
  if (segment.kind !== "literal") return (node.any ??= makeNode());
  let child = node.literals.get(segment.text);
  if (child === undefined) {
    child = makeNode();
    node.literals.set(segment.text, child);
  }
  return child;
}

function restOf<Value>(node: Node<Value>, behind: readonly TemplateSegment[]): Entries<Value> {
  const suffix = behind.map((segment) => (segment.kind === "literal" ? segment.text : ""));
  const known = node.rest.find((rest) => rest.suffix.join("/") === suffix.join("/"));
  if (known !== undefined) return known.entries;
  const entries: Entries<Value> = new Map();
  node.rest.push({ suffix, entries });
  // Who says more is more specific.
  node.rest.sort((left, right) => right.suffix.length - left.suffix.length);
  return entries;
}

/** Never deeper than the longest template, and each node at most once: a node has one place in a path. */
function walk<Value>(
  node: Node<Value>,
  segments: readonly string[],
  at: number,
  keys: readonly string[],
): Entry<Value> | undefined {
  const segment = segments[at];
  if (segment === undefined) {
    const entry = entryOf(node.entries, keys);
    if (entry !== undefined) return entry;
  } else {
    const literal = node.literals.get(segment);
    const found = literal && walk(literal, segments, at + 1, keys);
    if (found !== undefined) return found;
    const other = segment === "" ? undefined : node.any && walk(node.any, segments, at + 1, keys);
    if (other !== undefined) return other;
  }
  for (const { suffix, entries } of node.rest) {
    const start = segments.length - suffix.length;
    if (start < at || !suffix.every((text, index) => segments[start + index] === text)) continue;
    const entry = entryOf(entries, keys);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

function entryOf<Value>(entries: Entries<Value>, keys: readonly string[]): Entry<Value> | undefined {
  for (const key of keys) {
    const entry = entries.get(key);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** What a variable's segments stand for. Those behind `**` are counted from the end. */
function textOf(
  { start, end }: TemplateVariable,
  template: readonly TemplateSegment[],
  segments: readonly string[],
): string {
  const rest = template.findIndex(({ kind }) => kind === "rest");
  const more = segments.length - template.length;
  const from = rest >= 0 && start > rest ? start + more : start;
  const to = rest >= 0 && end > rest ? end + more : end;
  return segments.slice(from, to).join("/");
}
