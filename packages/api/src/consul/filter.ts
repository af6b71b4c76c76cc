import { MeshError } from "@tulle/base";

/** What a filter looks at. */
export interface FilterSubject {
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
}

/** Whether a filter selects an instance. */
export type InstanceFilter = (subject: FilterSubject) => boolean;

const MAX_LENGTH = 1024;
const MAX_TERMS = 64;
const MAX_DEPTH = 16;

/**
 * Reads a filter of Consul's language as subsets use it: comparisons of `Service.Meta`, `Service.Tags`, `Service.Service`,
 * `Service.Address` and `Service.Port`, joined by `and`, `or`, `not` and brackets. A key that an instance does not have
 * equals nothing. Empty: every instance. Errors: `invalid` API_CONSUL_FILTER with what is wrong and where.
 */
export function parseFilter(text: string): InstanceFilter {
  if (text.length > MAX_LENGTH) throw wrong(`is longer than ${MAX_LENGTH} characters`);
  const tokens = tokensOf(text);
  return tokens.length === 0 ? () => true : new FilterParser(tokens).parse();
}

/** What is wrong with a filter; undefined when it is right. */
export function filterProblem(text: string): string | undefined {
  try {
    parseFilter(text);
    return undefined;
  } catch (thrown) {
    return MeshError.from(thrown).message;
  }
}

interface Token {
  readonly text: string;
  /** Written in quotes: a value, never a word of the language. */
  readonly quoted: boolean;
  readonly at: number;
}

const TOKEN = /\s+|"((?:[^"\\]|\\.)*)"|`([^`]*)`|(==|!=|[()[\]])|([^\s"`()[\]=!]+)/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (found === null) throw wrong(`has an unexpected ${JSON.stringify(text[at])} at character ${at + 1}`);
    const [, quoted, raw, sign, word] = found;
    if (quoted !== undefined) tokens.push({ text: unescaped(quoted), quoted: true, at });
    else if (raw !== undefined) tokens.push({ text: raw, quoted: true, at });
    else if (sign !== undefined || word !== undefined)
      tokens.push({ text: sign ?? word ?? "", quoted: false, at });
  }
  return tokens;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, "$1");
}

/** What a comparison is made with. */
type Selector =
  | { readonly kind: "text"; readonly read: (subject: FilterSubject) => string | undefined }
  | { readonly kind: "list"; readonly read: (subject: FilterSubject) => readonly string[] };

class FilterParser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #terms = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): InstanceFilter {
    const filter = this.#either(0);
    const rest = this.#tokens[this.#next];
    if (rest !== undefined) throw this.#unexpected('"and", "or" or the end');
    return filter;
  }

  #either(depth: number): InstanceFilter {
    const sides = [this.#both(depth)];
    while (this.#take("or")) sides.push(this.#both(depth));
    return sides.length === 1 ? sides[0]! : (subject) => sides.some((side) => side(subject));
  }

  #both(depth: number): InstanceFilter {
    const sides = [this.#negated(depth)];
    while (this.#take("and")) sides.push(this.#negated(depth));
    return sides.length === 1 ? sides[0]! : (subject) => sides.every((side) => side(subject));
  }

  #negated(depth: number): InstanceFilter {
    if (depth > MAX_DEPTH) throw wrong(`is nested deeper than ${MAX_DEPTH} levels`);
    if (this.#take("not")) {
      const inner = this.#negated(depth + 1);
      return (subject) => !inner(subject);
    }
    if (!this.#take("(")) return this.#comparison();
    const inner = this.#either(depth + 1);
    if (!this.#take(")")) throw this.#unexpected('")"');
    return inner;
  }

  #comparison(): InstanceFilter {
    if (++this.#terms > MAX_TERMS) throw wrong(`has more than ${MAX_TERMS} comparisons`);
    const first = this.#tokens[this.#next];
    if (first === undefined) throw this.#unexpected("a comparison");
    const second = this.#tokens[this.#next + 1];
    const verb = isWord(second, "not") ? this.#tokens[this.#next + 2] : second;
    if (isWord(verb, "in")) return this.#within();
    return this.#about(this.#selector());
  }

  /** `"v1" in Service.Tags` */
  #within(): InstanceFilter {
    const value = this.#value();
    const negated = this.#take("not");
    if (!this.#take("in")) throw this.#unexpected('"in"');
    return negatedIf(negated, holds(this.#selector(), value));
  }

  #about(selector: Selector): InstanceFilter {
    if (this.#take("==")) return equals(selector, this.#value());
    if (this.#take("!=")) return negatedIf(true, equals(selector, this.#value()));
    if (this.#take("is")) {
      const negated = this.#take("not");
      if (!this.#take("empty")) throw this.#unexpected('"empty"');
      return negatedIf(negated, isEmpty(selector));
    }
    const negated = this.#take("not");
    if (this.#take("contains")) return negatedIf(negated, holds(selector, this.#value()));
    if (isWord(this.#tokens[this.#next], "matches")) {
      throw wrong("uses matches: regular expressions are not carried out in filters, compare values");
    }
    throw this.#unexpected('"==", "!=", "is empty", "contains" or "in"');
  }

  #selector(): Selector {
    const token = this.#tokens[this.#next];
    if (token === undefined || token.quoted) throw this.#unexpected("a field such as Service.Meta.version");
    this.#next++;
    const key = this.#index();
    switch (token.text) {
      case "Service.Tags":
        return { kind: "list", read: ({ tags }) => tags };
      case "Service.Meta":
        return key === undefined ? { kind: "list", read: ({ meta }) => Object.keys(meta) } : metaOf(key);
      case "Service.Service":
        return { kind: "text", read: ({ service }) => service };
      case "Service.Address":
        return { kind: "text", read: ({ address }) => address };
      case "Service.Port":
        return { kind: "text", read: ({ port }) => String(port) };
    }
    const prefix = "Service.Meta.";
    if (token.text.startsWith(prefix) && token.text.length > prefix.length)
      return metaOf(token.text.slice(prefix.length));
    throw wrong(
      `names ${JSON.stringify(token.text)}: subsets select by Service.Meta, Service.Tags, Service.Service, Service.Address and Service.Port`,
    );
  }

  /** `["key"]` after a selector. */
  #index(): string | undefined {
    if (!this.#take("[")) return undefined;
    const key = this.#value();
    if (!this.#take("]")) throw this.#unexpected('"]"');
    return key;
  }

  #value(): string {
    const token = this.#tokens[this.#next];
    if (token === undefined || (!token.quoted && SIGNS.has(token.text))) throw this.#unexpected("a value");
    this.#next++;
    return token.text;
  }

  #take(word: string): boolean {
    if (!isWord(this.#tokens[this.#next], word)) return false;
    this.#next++;
    return true;
  }

  #unexpected(expected: string): MeshError {
    const token = this.#tokens[this.#next];
    const got =
      token === undefined ? "the end" : `${JSON.stringify(token.text)} at character ${token.at + 1}`;
    return wrong(`expected ${expected}, got ${got}`);
  }
}

const SIGNS = new Set(["==", "!=", "(", ")", "[", "]"]);

function isWord(token: Token | undefined, word: string): boolean {
  return token !== undefined && !token.quoted && token.text === word;
}

function metaOf(key: string): Selector {
  return { kind: "text", read: ({ meta }) => (Object.hasOwn(meta, key) ? meta[key] : undefined) };
}

function equals(selector: Selector, value: string): InstanceFilter {
  if (selector.kind === "list") throw wrong("compares a list with ==: use in or contains");
  return (subject) => selector.read(subject) === value;
}

function holds(selector: Selector, value: string): InstanceFilter {
  if (selector.kind === "list") return (subject) => selector.read(subject).includes(value);
  return (subject) => selector.read(subject)?.includes(value) === true;
}

function isEmpty(selector: Selector): InstanceFilter {
  return (subject) => (selector.read(subject) ?? "").length === 0;
}

function negatedIf(negated: boolean, filter: InstanceFilter): InstanceFilter {
  return negated ? (subject) => !filter(subject) : filter;
}

function wrong(what: string): MeshError {
  return new MeshError("invalid", "API_CONSUL_FILTER", `the filter ${what}`);
}
