import type { MeshObject, ReferenceGrantSpec } from "@tulle/api";
import { GATEWAY_API_GROUP } from "@tulle/api";
import { REFERENCE_GRANT } from "../kinds.js";
import type { Translation } from "../translation.js";

/** An object that a route refers to. */
export interface Referent {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whether a ReferenceGrant beside the referent lets a route refer to it. */
export function isGranted(
  t: Translation,
  { kind, metadata }: Pick<MeshObject, "kind" | "metadata">,
  referent: Referent,
): boolean {
  const grant = t
    .objects<ReferenceGrantSpec>(REFERENCE_GRANT)
    .find(
      ({ metadata: { namespace }, spec }) =>
        namespace === referent.namespace &&
        spec.from.some(
          (from) =>
            from.group === GATEWAY_API_GROUP && from.kind === kind && from.namespace === metadata.namespace,
        ) &&
        spec.to.some(
          (to) =>
            to.group === referent.group &&
            to.kind === referent.kind &&
            (to.name === undefined || to.name === "" || to.name === referent.name),
        ),
    );
  if (grant !== undefined) t.own(grant);
  return grant !== undefined;
}
