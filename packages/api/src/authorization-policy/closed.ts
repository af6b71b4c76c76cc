import type { MeshObject } from "../kind.js";
import { isFields } from "../schema/struct.js";
import { authorizationPolicySpec } from "./schema.js";

const WHOM = ["selector", "targetRef", "targetRefs"];

/**
 * What holds where a policy is that nobody can read: it may have denied anything, or have been the only one that allowed
 * something. So everything is denied to whom it is about; where that cannot be read either, to all that it may be about.
 */
export function denyEverything(object: MeshObject): MeshObject {
  const spec = { action: "DENY", rules: [{}] };
  const narrow = { ...spec, ...whomOf(object.spec) };
  return { ...object, spec: authorizationPolicySpec.safeParse(narrow).success ? narrow : spec };
}

function whomOf(spec: unknown): Record<string, unknown> {
  if (!isFields(spec)) return {};
  return Object.fromEntries(
    WHOM.flatMap((name) => (spec[name] === undefined ? [] : [[name, spec[name]] as const])),
  );
}
