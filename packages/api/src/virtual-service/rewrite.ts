import { structAt, structsAt, type Mutable, type Rewrites } from "../schema/rewrite.js";
import type { Path } from "../schema/path.js";

/** Header fields of Istio's first version, and where they are now below `headers`. */
const OLD_HEADER_FIELDS = [
  ["appendHeaders", "request", "add"],
  ["appendRequestHeaders", "request", "add"],
  ["removeRequestHeaders", "request", "remove"],
  ["appendResponseHeaders", "response", "add"],
  ["removeResponseHeaders", "response", "remove"],
] as const;

/** Deprecated fields of VirtualService → their successors. */
export function rewriteVirtualService(spec: Mutable, rewrites: Rewrites): void {
  for (const [route, path] of structsAt(spec, ["spec"], "http")) {
    rewrites.move(route, path, "mirror_percent", ["mirrorPercentage"], asPercent);
    rewrites.move(route, path, "mirrorPercent", ["mirrorPercentage"], asPercent);
    rewrites.drop(route, path, "websocketUpgrade", "WebSocket upgrades are always allowed");
    const cors = structAt(route, "corsPolicy");
    if (cors !== undefined)
      rewrites.move(cors, [...path, "corsPolicy"], "allowOrigin", ["allowOrigins"], asExactMatches);
    for (const fault of ["delay", "abort"]) {
      const part = structAt(structAt(route, "fault"), fault);
      if (part !== undefined)
        rewrites.move(part, [...path, "fault", fault], "percent", ["percentage"], asPercent);
    }
    rewriteHeaders(route, path, rewrites);
    for (const [destination, below] of structsAt(route, path, "route"))
      rewriteHeaders(destination, below, rewrites);
  }
}

function rewriteHeaders(fields: Mutable, path: Path, rewrites: Rewrites): void {
  for (const [from, direction, operation] of OLD_HEADER_FIELDS) {
    rewrites.move(fields, path, from, ["headers", direction, operation]);
  }
}

function asPercent(value: unknown): unknown {
  return { value };
}

function asExactMatches(value: unknown): unknown {
  return Array.isArray(value)
    ? value.map((origin: unknown) => (origin === "*" ? { regex: ".*" } : { exact: origin }))
    : value;
}
