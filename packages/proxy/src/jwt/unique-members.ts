/** Objects and lists within each other, at most. */
const MAX_DEPTH = 64;

/**
 * Whether no object of a JSON text (one that `JSON.parse` takes) names a member twice, and nothing is nested too deeply.
 * Parsers differ in which of two members they believe (RFC 7519 section 4): a token must not mean two things.
 */
export function hasUniqueMembers(json: string): boolean {
  /** Of each open object the names so far; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let expectsName = false;
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case OPEN_OBJECT:
      case OPEN_LIST:
        if (open.length >= MAX_DEPTH) return false;
        expectsName = json.charCodeAt(at) === OPEN_OBJECT;
        open.push(expectsName ? new Set() : undefined);
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        open.pop();
        expectsName = false;
        break;
      case COMMA:
        expectsName = open.at(-1) !== undefined;
        break;
      case QUOTE: {
        const end = endOfString(json, at);
        if (expectsName) {
          const names = open.at(-1);
          const name = JSON.parse(json.slice(at, end + 1)) as string;
          if (names === undefined || names.has(name)) return false;
          names.add(name);
          expectsName = false;
        }
        at = end;
        break;
      }
      default:
        break;
    }
  }
  return true;
}

/** Position of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
