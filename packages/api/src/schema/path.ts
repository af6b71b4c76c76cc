/** Keys and indexes from an object's root to one of its fields. */
export type Path = readonly PropertyKey[];

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const MAX_KEY_LENGTH = 64;

/**
 * A path in kubectl's notation: `spec.http[0].match[1].headers["x-user.id"]`. Keys that are not plain words are quoted
 * as in JSON and cut after 64 characters.
 */
export function formatPath(path: Path): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (typeof key === "string" && PLAIN_KEY.test(key) && key.length <= MAX_KEY_LENGTH) {
      text += text === "" ? key : `.${key}`;
    } else text += `[${JSON.stringify(String(key).slice(0, MAX_KEY_LENGTH))}]`;
  }
  return text;
}

/** The keys and indexes of a path that {@link formatPath} wrote; what follows something unreadable is left out. */
export function parsePath(text: string): readonly (string | number)[] {
  const step = /\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]/y;
  const path: (string | number)[] = [];
  for (let match = step.exec(text); match !== null; match = step.exec(text)) {
    const [, key, index, quoted] = match;
    if (key !== undefined) path.push(key);
    else if (index !== undefined) path.push(Number(index));
    else if (quoted !== undefined) path.push(unquote(quoted));
  }
  return path;
}

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}
