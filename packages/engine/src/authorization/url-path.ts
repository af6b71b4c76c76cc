import { pathEnd } from "../route/path-end.js";
import type { EngineRequest } from "../contract.js";

let lastTarget = "";
let lastPath = "";

/** The path of a request without its query. Remembers the last one: many conditions ask for the same. */
export function urlPath({ path }: EngineRequest): string {
  if (path !== lastTarget) {
    const end = pathEnd(path);
    lastPath = end === path.length ? path : path.slice(0, end);
    lastTarget = path;
  }
  return lastPath;
}
