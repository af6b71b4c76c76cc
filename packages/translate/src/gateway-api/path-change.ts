import type { HTTPPathModifier } from "@tulle/api";

/** How the path of a request changes, in the terms of rules: one of the three, or none where it stays as it is. */
export interface PathChange {
  /** The whole path. */
  readonly whole?: string;
  /** In the place of the matched prefix. */
  readonly prefix?: string;
  readonly regex?: { readonly match: string; readonly rewrite: string };
}

/**
 * What a modifier does to a path that was matched by `prefix` (undefined: by something else). Segments stay segments:
 * with `/foo` replaced by `/`, `/foo/bar` becomes `/bar` and `/foo` becomes `/`.
 */
export function pathChange(modifier: HTTPPathModifier | undefined, prefix: string | undefined): PathChange {
  if (modifier === undefined) return {};
  if (modifier.type === "ReplaceFullPath") return { whole: absolute(modifier.replaceFullPath ?? "") };
  const matched = trimmed(prefix ?? "/");
  const replacement = trimmed(absolute(modifier.replacePrefixMatch ?? ""));
  if (matched === replacement) return {};
  // The prefix "/" is matched with its slash, any other one without.
  if (matched === "") return { prefix: `${replacement}/` };
  if (replacement !== "") return { prefix: replacement };
  return { regex: { match: `^${quoted(matched)}/*`, rewrite: "/" } };
}

/** A rewrite of the whole path, for matches whose rewriting would only replace a prefix. */
export function wholePath(path: string): { readonly match: string; readonly rewrite: string } {
  return { match: "^.*$", rewrite: path.replaceAll("\\", "\\\\") };
}

/** Without slashes at its end: `/` is the empty prefix. */
export function trimmed(path: string): string {
  return path.replace(/\/+$/, "");
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** A regular expression that matches `text` alone. */
export function quoted(text: string): string {
  return text.replaceAll(/[\\^$.|?*+()[\]{}-]/g, String.raw`\$&`);
}
