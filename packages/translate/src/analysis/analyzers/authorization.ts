import type { AuthorizationPolicySpec, MeshObject } from "@tulle/api";
import type { Analysis } from "../analysis.js";

/** Kinds that sidecars carry policies out for. */
const CARRIED_OUT = ["Service", "Gateway"];

type TargetingSpec = Pick<AuthorizationPolicySpec, "targetRef" | "targetRefs">;

/** TUL0001, IST0101: what a policy is attached to. Gateways are looked up by whoever opens them. */
export function analyzeTargets(analysis: Analysis, object: MeshObject<TargetingSpec>): void {
  const { targetRef, targetRefs = [] } = object.spec;
  const look = (path: string, { kind, name }: { readonly kind: string; readonly name: string }): void => {
    const { namespace } = object.metadata;
    if (!CARRIED_OUT.includes(kind)) {
      const message = `policies of a ${kind} are not carried out: nothing is guarded by this reference`;
      analysis.report("TUL0001", object, path, message);
    } else if (
      kind === "Service" &&
      analysis.live &&
      analysis.reader.catalog.service(namespace, name) === undefined
    ) {
      const message = `no service ${name} is registered in the namespace ${namespace}`;
      analysis.report("IST0101", object, `${path}.name`, message);
    }
  };
  if (targetRef !== undefined) look("spec.targetRef", targetRef);
  targetRefs.forEach((target, index) => look(`spec.targetRefs[${index}]`, target));
}
