import type { EngineRequest } from "../contract.js";
import type { RuntimeValues } from "./runtime-values.js";

/** Longest text of a request or of the configuration that is repeated. */
const MAX_QUOTED = 120;

/** A condition in words, for explanations. Texts are made when they are asked for: live traffic pays for none. */
export interface ConditionWords {
  /** `header "version" must be "v2"`; "" when it holds for every request. */
  condition(runtime: RuntimeValues): string;
  /** Why it does not hold for a request for which it does not: `header "version" is "v1", not "v2"`. */
  mismatch(request: EngineRequest, runtime: RuntimeValues): string;
  /** The share of requests for which it holds now, where chance decides; undefined where the request does. */
  readonly share: ((runtime: RuntimeValues) => number) | undefined;
}

/**
 * What a text must be. `lie below`: the path `text` or one below it; `match`: a regular expression; `lie`: in a range that
 * `text` says.
 */
export interface Wanted {
  readonly verb:
    | "be"
    | "begin with"
    | "end with"
    | "contain"
    | "match"
    | "match the template"
    | "lie"
    | "lie below";
  readonly text: string;
  readonly ignoreCase: boolean;
}

/** What a condition looks at in a request; undefined when the request has no such thing. */
export type Subject = (request: EngineRequest, name: string) => string | undefined;

/** The words of a condition on a value that a request has or lacks. `wanted` a boolean: whether it has it. */
export class ValueWords implements ConditionWords {
  readonly share = undefined;
  readonly #called: "header" | "cookie" | "query parameter" | "path";
  readonly #name: string;
  readonly #subject: Subject;
  readonly #wanted: Wanted | boolean;
  readonly #invert: boolean;

  constructor(
    called: "header" | "cookie" | "query parameter" | "path",
    name: string,
    subject: Subject,
    wanted: Wanted | boolean,
    invert = false,
  ) {
    this.#called = called;
    this.#name = name;
    this.#subject = subject;
    this.#wanted = wanted;
    this.#invert = invert;
  }

  condition(): string {
    const wanted = this.#wanted;
    if (this.#called === "path" && wanted !== true && wanted !== false) {
      if (wanted.verb === "begin with" && wanted.text === "/") return "";
    }
    if (typeof wanted === "boolean")
      return `${this.#title()} must be ${wanted === this.#invert ? "absent" : "present"}`;
    return `${this.#title()} ${this.#must()} ${demandOf(wanted)}`;
  }

  mismatch(request: EngineRequest): string {
    const wanted = this.#wanted;
    const title = this.#title();
    const value = this.#subject(request, this.#name);
    const is = value === undefined ? "absent" : quoted(value);
    if (typeof wanted === "boolean") return `${title} is ${value === undefined ? "absent" : "present"}`;
    if (wanted.verb === "be" && !this.#invert) return `${title} is ${is}, not ${objectOf(wanted)}`;
    return `${title} is ${is}: it ${this.#must()} ${demandOf(wanted)}`;
  }

  #must(): string {
    return this.#invert ? "must not" : "must";
  }

  #title(): string {
    const name = this.#name;
    if (this.#called === "path") return "path";
    if (this.#called === "header") {
      if (name === "host") return "authority";
      if (name.startsWith(":")) return name.slice(1);
    }
    return `${this.#called} ${quoted(name)}`;
  }
}

function demandOf(wanted: Wanted): string {
  const { verb, text } = wanted;
  if (verb !== "lie below") return `${verb} ${objectOf(wanted)}`;
  return `be ${objectOf(wanted)} or begin with ${objectOf({ ...wanted, text: `${text}/` })}`;
}

function objectOf({ verb, text, ignoreCase }: Wanted): string {
  if (verb === "lie") return text;
  if (verb === "match") return `/${cut(text)}/`;
  return `${quoted(text)}${ignoreCase ? " in any case" : ""}`;
}

/** A text of foreign origin in quotes, cut when it is long. */
export function quoted(text: string): string {
  return JSON.stringify(cut(text));
}

function cut(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}

/** A share as people write it: `10 %`, `0.1 %`. */
export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(4))} %`;
}
