/** Longest repetition that RE2 takes. */
const MAX_REPEAT = 1000;

/**
 * Why a regular expression cannot be run in linear time or is not one in RE2's syntax; undefined when nothing is wrong
 * with its structure. What RE2's grammar says about class names and flags is left to the engine that compiles it.
 */
export function regexProblem(text: string): string | undefined {
  let depth = 0;
  // Whether a repetition may stand here.
  let repeatable = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") {
      const next = text[++i];
      if (next === undefined) return "ends in a backslash";
      if (/[1-9]/.test(next) || (next === "k" && text[i + 1] === "<")) return "has a back-reference";
      if (next === "Q") {
        const end = text.indexOf("\\E", i);
        i = end === -1 ? text.length : end + 1;
      }
      repeatable = true;
    } else if (char === "[") {
      const end = classEnd(text, i);
      if (end === -1) return 'has a "[" without "]"';
      i = end;
      repeatable = true;
    } else if (char === "(") {
      if (/^\(\?(?:[=!]|<[=!])/.test(text.slice(i, i + 4))) return "looks ahead or behind";
      depth++;
      if (text[i + 1] === "?") i = groupPrefixEnd(text, i);
      repeatable = text[i] === ")";
      if (repeatable) depth--;
    } else if (char === ")") {
      if (--depth < 0) return 'has a ")" without "("';
      repeatable = true;
    } else if (char === "*" || char === "+" || char === "?") {
      if (!repeatable) return `has nothing to repeat before "${char}"`;
      if (text[i + 1] === "?") i++;
      repeatable = false;
    } else if (char === "{") {
      const repeat = /^\{(\d+)(?:,(\d*))?\}/.exec(text.slice(i));
      // Anything else than a repetition is a literal brace.
      if (repeat === null) {
        repeatable = true;
        continue;
      }
      if (!repeatable) return 'has nothing to repeat before "{"';
      const low = Number(repeat[1]);
      const high = repeat[2] === undefined || repeat[2] === "" ? low : Number(repeat[2]);
      if (low > MAX_REPEAT || high > MAX_REPEAT || high < low)
        return `repeats by ${repeat[0]}, beyond ${MAX_REPEAT}`;
      i += repeat[0].length - 1;
      if (text[i + 1] === "?") i++;
      repeatable = false;
    } else {
      repeatable = char !== "|";
    }
  }
  return depth > 0 ? 'has a "(" without ")"' : undefined;
}

/** Index of the `]` that ends the class opened at `start`, or -1. */
function classEnd(text: string, start: number): number {
  let i = start + 1;
  if (text[i] === "^") i++;
  // A "]" right at the start is a literal.
  if (text[i] === "]") i++;
  for (; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[" && text[i + 1] === ":") {
      const end = text.indexOf(":]", i + 2);
      if (end !== -1) i = end + 1;
    } else if (text[i] === "]") return i;
  }
  return -1;
}

/** Index of the last character of what follows `(?`: the `:` or `>` of a group, the `)` of flags. */
function groupPrefixEnd(text: string, start: number): number {
  const prefix = /^\(\?(?:P?<\w+>|[a-zA-Z]*(?:-[a-zA-Z]+)?[:)])/.exec(text.slice(start, start + 128));
  return prefix === null ? start : start + prefix[0].length - 1;
}
