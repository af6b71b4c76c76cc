import { finding, findKind, objectKey, type Finding, type MeshObject } from "@tulle/api";

import { PolicyReviewer, warningText } from "./reviewer.js";
import type { AdmissionUser, StoredObjects } from "./write.js";

/**
 * What policies say of objects as if each was created now, and what is wrong with the policies themselves. Objects of unknown
 * kinds are left out. `pause` comes between two objects, for whoever has something else to do.
 */
export async function policyFindings(
  stored: StoredObjects,
  objects: readonly MeshObject[],
  user: AdmissionUser,
  pause: () => Promise<unknown> = () => Promise.resolve(),
): Promise<readonly Finding[]> {
  const reviewer = new PolicyReviewer(stored);
  const findings: Finding[] = [];
  for (const object of objects) {
    const key = objectKey(object);
    const kind = findKind(key.group, key.kind);
    if (kind === undefined) continue;
    await pause();
    for (const { path, message } of await reviewer.violationsOf(object))
      findings.push(finding("IST0106", key, path, message));
    const write = { operation: "CREATE", kind, version: kind.storageVersion, object, user } as const;
    const { denied, warned } = await reviewer.review({ ...write, oldObject: undefined, dryRun: true });
    for (const one of denied) findings.push(finding("TUL0008", key, "", warningText(one)));
    for (const one of warned) findings.push(finding("TUL0009", key, "", warningText(one)));
  }
  return findings;
}
