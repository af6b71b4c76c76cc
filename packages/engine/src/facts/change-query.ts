import type { QueryChange } from "./ext-authz.js";

/** A path with parameters of its query set and taken away: every one of a name that is meant, however it is escaped. */
export function changeQuery(path: string, { set, remove }: QueryChange): string {
  const mark = path.indexOf("?");
  const before = mark < 0 ? path : path.slice(0, mark);
  const gone = new Set([...remove, ...set.map(([name]) => name)]);
  const kept = mark < 0 ? [] : path.slice(mark + 1).split("&");
  const parts = kept.filter((part) => part !== "" && !gone.has(nameOf(part)));
  for (const [name, value] of set) parts.push(`${escape(name)}=${escape(value)}`);
  return parts.length === 0 ? before : `${before}?${parts.join("&")}`;
}

function nameOf(part: string): string {
  const end = part.indexOf("=");
  const name = (end < 0 ? part : part.slice(0, end)).replaceAll("+", " ");
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function escape(text: string): string {
  // A lone surrogate has no form in UTF-8.
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, "\ufffd"));
}
