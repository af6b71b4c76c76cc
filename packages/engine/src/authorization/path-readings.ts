import type { EngineRequest } from "../contract.js";
import { urlPath } from "./url-path.js";

/** What servers read differently from each other: escapes, backslashes, parameters of segments, empty and dot segments. */
const AMBIGUOUS = /[%\\;]|\/\/|\/\./;
const ESCAPES = /%[0-9a-f]{2}/gi;

let lastPath = "";
let lastReadings: readonly string[] = [""];

/**
 * The paths that servers may take a path for: as it is, first, and then with its escapes decoded (once), backslashes as
 * slashes, empty and dot segments resolved in either order, with and without parameters (`;x`) and what follows a NUL. Nearly
 * always it is the only one. Remembers the last path.
 */
export function pathReadings(request: EngineRequest): readonly string[] {
  const path = urlPath(request);
  if (path !== lastPath) {
    lastReadings = readingsOf(path);
    lastPath = path;
  }
  return lastReadings;
}

/** As {@link pathReadings}, of a path without query. */
export function readingsOf(path: string): readonly string[] {
  if (!AMBIGUOUS.test(path)) return [path];
  const decoded = path
    .replace(ESCAPES, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)))
    .replaceAll("\\", "/");
  const readings = new Set([path]);
  // Programs that keep texts as C does see nothing behind a NUL.
  for (const text of decoded.includes("\0") ? [decoded, decoded.split("\0", 1)[0]!] : [decoded]) {
    const plain = text.split("/");
    const bare = plain.map((segment) => segment.split(";", 1)[0]!);
    for (const segments of text.includes(";") ? [plain, bare] : [plain]) {
      readings.add(resolved(segments, true));
      readings.add(resolved(segments, false));
    }
  }
  return [...readings];
}

/** Without dot segments; `merged`: empty ones are left out first, else last. */
function resolved(segments: readonly string[], merged: boolean): string {
  const kept: string[] = [];
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index]!;
    const isLast = index === segments.length - 1;
    if (segment === "..") kept.pop();
    else if (segment !== "." && (segment !== "" || isLast || !merged)) kept.push(segment);
    // What ends in a dot segment is a directory.
    if (isLast && (segment === "." || segment === "..")) kept.push("");
  }
  const path = `/${kept.join("/")}`;
  return merged ? path : path.replace(/\/{2,}/g, "/");
}
