import type { MeshObject } from "@tulle/api";
import { routeParents } from "../../gateway-api/route-status.js";
import type { RouteObject } from "../../gateway-api/route-kinds.js";
import type { Analysis } from "../analysis.js";

/**
 * IST0101 and TUL0001 of routes of Gateway API: what their status says is not well, so that it is known before they are
 * applied.
 */
export function analyzeRoute(analysis: Analysis, object: MeshObject<RouteObject["spec"]>): void {
  const written = object.spec.parentRefs ?? [];
  for (const { parentRef, conditions } of routeParents(analysis.reader, object) ?? []) {
    const index = written.findIndex(
      ({ name, namespace, port, sectionName }) =>
        name === parentRef.name &&
        namespace === parentRef.namespace &&
        port === parentRef.port &&
        sectionName === parentRef.sectionName,
    );
    const place = `spec.parentRefs[${index}]`;
    for (const { type, status, reason, message } of conditions) {
      if (type === "ResolvedRefs" && status === "False") {
        analysis.report("IST0101", object, "spec.rules", message);
      } else if (type === "PartiallyInvalid") {
        analysis.report("TUL0001", object, "spec.rules", message);
      } else if (type === "Accepted" && status === "False") {
        const code = reason === "NoMatchingParent" ? "IST0101" : "TUL0001";
        analysis.report(code, object, place, message);
      }
    }
  }
}
