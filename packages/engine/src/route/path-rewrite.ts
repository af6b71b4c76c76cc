import { pathEnd } from "./path-end.js";

/** Rewrites a path; query and fragment stay as they are. */
export type PathRewrite = (path: string) => string;

/** Replaces the matched prefix, or the whole path when `prefixLength` is undefined. */
export function prefixRewrite(replacement: string, prefixLength: number | undefined): PathRewrite {
  if (prefixLength !== undefined) return (path) => replacement + path.slice(prefixLength);
  return (path) => replacement + path.slice(pathEnd(path));
}

/** Applies a substitution to the path without its query. */
export function regexRewrite(substitute: (text: string) => string): PathRewrite {
  return (path) => {
    const end = pathEnd(path);
    return substitute(path.slice(0, end)) + path.slice(end);
  };
}
