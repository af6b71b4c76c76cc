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
