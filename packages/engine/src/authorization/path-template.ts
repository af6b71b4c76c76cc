import { invalid } from "../snapshot/invalid.js";

/** Envoy's bound. */
const MAX_LENGTH = 256;
/** What a template's literal segments, and the segments of paths that match, consist of (RFC 3986, pchar). */
const LITERAL = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]*$/;

/**
 * A path template of whole segments: `*` takes one segment, `**` at the end any number of them. Compared segment by
 * segment, so in linear time. Segments of dots alone, which whoever reads the path after us may resolve, are in doubt.
 */
export class PathTemplate {
  readonly #segments: readonly string[];
  /** Ends with `**`. */
  readonly #open: boolean;
  /** And a slash after it. */
  readonly #slash: boolean;
  readonly #inDoubt: boolean;

  /** `inDoubt`: whether operators take segments of dots. */
  constructor(field: string, text: string, inDoubt: boolean) {
    if (!text.startsWith("/")) throw invalid(field, "must start with /");
    if (text.length > MAX_LENGTH) throw invalid(field, `is longer than ${MAX_LENGTH} characters`);
    const segments = text.slice(1).split("/");
    const end = segments.indexOf("**");
    if (end !== -1 && segments.slice(end + 1).some((segment) => segment !== ""))
      throw invalid(field, "has something after **, which must be the last segment");
    for (const segment of segments) {
      if (segment === "*" || segment === "**") continue;
      if (!LITERAL.test(segment))
        throw invalid(
          field,
          `has the segment ${JSON.stringify(segment)}: only *, ** and literals are supported`,
        );
    }
    this.#inDoubt = inDoubt;
    this.#open = end !== -1;
    this.#slash = end !== -1 && end < segments.length - 1;
    this.#segments = end === -1 ? segments : segments.slice(0, end);
  }

  /** `path` without query. */
  matches(path: string): boolean {
    if (path.charCodeAt(0) !== SLASH) return false;
    let start = 1;
    for (let index = 0; index < this.#segments.length; index++) {
      if (start > path.length) return false;
      const end = endOf(path, start);
      const wanted = this.#segments[index]!;
      const taken =
        wanted === "*" ? end > start && this.#takes(path, start, end) : isSame(path, start, end, wanted);
      if (!taken) return false;
      start = end + 1;
    }
    if (!this.#open) return start === path.length + 1;
    if (start > path.length || (this.#slash && !path.endsWith("/"))) return false;
    while (start <= path.length) {
      const end = endOf(path, start);
      if (!this.#takes(path, start, end)) return false;
      start = end + 1;
    }
    return true;
  }

  #takes(path: string, start: number, end: number): boolean {
    return this.#inDoubt || end - start > MAX_DOTS || !DOTS.test(path.slice(start, end));
  }
}

const SLASH = 0x2f;
/** `.` or `..`, escaped or not. */
const DOTS = /^(?:\.|%2[eE]){1,2}$/;
const MAX_DOTS = "%2e%2e".length;

function endOf(path: string, start: number): number {
  const end = path.indexOf("/", start);
  return end === -1 ? path.length : end;
}

function isSame(path: string, start: number, end: number, wanted: string): boolean {
  return end - start === wanted.length && path.startsWith(wanted, start);
}
