import type { MeshObject } from "@tulle/api";
import { nameOf } from "../../provenance.js";
import type { Analysis } from "../analysis.js";
import { conflictsOf, CONFLICTING_KINDS } from "../conflicts.js";

/** IST0109, IST0110, IST0111, TUL0006: two objects that claim the same. */
export function analyzeConflicts(analysis: Analysis, object: MeshObject): void {
  const kind = CONFLICTING_KINDS.find((one) => one.kind === object.kind);
  if (kind === undefined) return;
  for (const { code, path, claim, other } of conflictsOf(object, analysis.objects(kind), analysis.domain)) {
    analysis.report(code, object, path, `${nameOf(other)} claims ${claim} too: the older of the two holds`);
  }
}
