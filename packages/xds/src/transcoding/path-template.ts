/** A path template of `google.api.http`, taken apart (grammar: google/api/http.proto, "Path template syntax"). */
export interface PathTemplate {
  readonly segments: readonly TemplateSegment[];
  /** What follows the last colon, "" without. */
  readonly verb: string;
  readonly variables: readonly TemplateVariable[];
}

/** `any`: `*`, exactly one segment; `rest`: `**`, any number of them, at most one in a template. */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "any" | "rest" };

/** A field of the request that a part of the path is the value of. */
export interface TemplateVariable {
  /** `["book", "name"]` */
  readonly field: readonly string[];
  /** Its segments: `segments[start]` up to, not including, `segments[end]`. */
  readonly start: number;
  readonly end: number;
  /** It may have more than one segment: its slashes are its own. */
  readonly isMulti: boolean;
}

/** Longest template, characters. */
const MAX_LENGTH = 2048;
/** Most segments of one. */
const MAX_SEGMENTS = 64;

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What RFC 3986 lets a segment have, without what templates give a meaning. */
const LITERAL = /^(?:[A-Za-z0-9\-._~!$&'()+,;@]|%[0-9A-Fa-f]{2})+$/;

/** Reads a template. A text in place of it says what is wrong with it. */
export function parsePathTemplate(text: string): PathTemplate | string {
  if (text.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  return new TemplateReader(text).read();
}

class TemplateReader {
  readonly #text: string;
  #at = 0;
  readonly #segments: TemplateSegment[] = [];
  readonly #variables: TemplateVariable[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  read(): PathTemplate | string {
    if (!this.#take("/")) return "must begin with /";
    const wrong = this.#readSegments(false);
    if (wrong !== undefined) return wrong;
    let verb = "";
    if (this.#take(":")) {
      verb = this.#word();
      if (!LITERAL.test(verb)) return `has no verb behind the colon at ${this.#at}`;
    }
    if (this.#at < this.#text.length) return `has ${JSON.stringify(this.#text[this.#at])} at ${this.#at}`;
    return this.#checked(verb);
  }

  /** Behind `**` only literals: what it stands for would not be one thing. */
  #checked(verb: string): PathTemplate | string {
    const segments = this.#segments;
    if (segments.length > MAX_SEGMENTS) return `has more than ${MAX_SEGMENTS} segments`;
    const rest = segments.findIndex(({ kind }) => kind === "rest");
    if (rest >= 0 && segments.slice(rest + 1).some(({ kind }) => kind !== "literal"))
      return "has a wildcard or variable behind **";
    const names = this.#variables.map(({ field }) => field.join("."));
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) return `names the variable ${twice} twice`;
    return { segments, verb, variables: this.#variables };
  }

  #readSegments(isInside: boolean): string | undefined {
    do {
      const wrong = this.#readSegment(isInside);
      if (wrong !== undefined) return wrong;
    } while (this.#take("/"));
    return undefined;
  }

  #readSegment(isInside: boolean): string | undefined {
    if (this.#take("{")) {
      return isInside ? `has a variable within a variable at ${this.#at - 1}` : this.#readVariable();
    }
    const word = this.#word();
    if (word === "*") this.#segments.push({ kind: "any" });
    else if (word === "**") this.#segments.push({ kind: "rest" });
    else if (LITERAL.test(word)) this.#segments.push({ kind: "literal", text: word });
    else
      return `has ${word === "" ? "an empty segment" : `the segment ${JSON.stringify(word)}`} before ${this.#at}`;
    return undefined;
  }

  #readVariable(): string | undefined {
    const field = this.#word().split(".");
    if (!field.every((name) => IDENTIFIER.test(name))) return `has no field path before ${this.#at}`;
    const start = this.#segments.length;
    if (this.#take("=")) {
      const wrong = this.#readSegments(true);
      if (wrong !== undefined) return wrong;
    } else this.#segments.push({ kind: "any" });
    if (!this.#take("}")) return `has a variable that does not end at ${this.#at}`;
    const own = this.#segments.slice(start);
    const isMulti = own.length > 1 || own.some(({ kind }) => kind === "rest");
    this.#variables.push({ field, start, end: this.#segments.length, isMulti });
    return undefined;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** Up to the next character with a meaning. */
  #word(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !"/{}=:".includes(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }
}
