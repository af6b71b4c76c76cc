import { TARGET, equalsIgnoringCase, isMadeOf } from "./characters.js";
import { parseAuthority } from "./authority.js";

/**
 * A request target taken apart (RFC 9112 section 3.2).
 *
 * - `origin`: `/path?query`; `authority` is "", ask Host.
 * - `absolute`: `http://host/path`; what a client sends to a proxy. `authority` wins over Host.
 * - `authority`: `host:port` of CONNECT; `path` is "".
 * - `asterisk`: `*` of OPTIONS; `path` is "*".
 */
export interface RequestTarget {
  readonly form: "origin" | "absolute" | "authority" | "asterisk";
  /** "http" or "https" with the absolute form, else "". */
  readonly scheme: "http" | "https" | "";
  /** As written. */
  readonly authority: string;
  /** Path and query as written; "/" when an absolute target has no path. */
  readonly path: string;
}

/** Takes `target` apart, or undefined when it is malformed or its form does not belong to `method`. */
export function parseRequestTarget(method: string, target: string): RequestTarget | undefined {
  if (!isMadeOf(TARGET, target)) return undefined;
  if (method === "CONNECT") return parseConnectTarget(target);
  if (target.charCodeAt(0) === 0x2f) return { form: "origin", scheme: "", authority: "", path: target };
  if (target === "*") {
    return method === "OPTIONS" ? { form: "asterisk", scheme: "", authority: "", path: "*" } : undefined;
  }
  return parseAbsoluteTarget(target);
}

function parseConnectTarget(target: string): RequestTarget | undefined {
  if (parseAuthority(target)?.port === undefined) return undefined;
  return { form: "authority", scheme: "", authority: target, path: "" };
}

function parseAbsoluteTarget(target: string): RequestTarget | undefined {
  const colon = target.indexOf("://");
  if (colon < 0) return undefined;
  const schemeText = target.slice(0, colon);
  const scheme = equalsIgnoringCase(schemeText, "http")
    ? "http"
    : equalsIgnoringCase(schemeText, "https")
      ? "https"
      : "";
  if (scheme === "") return undefined;
  const start = colon + 3;
  let end = start;
  for (; end < target.length; end++) {
    const code = target.charCodeAt(end);
    if (code === 0x2f || code === 0x3f) break;
  }
  const authority = target.slice(start, end);
  if (parseAuthority(authority) === undefined) return undefined;
  const rest = target.slice(end);
  return { form: "absolute", scheme, authority, path: rest.startsWith("/") ? rest : `/${rest}` };
}
