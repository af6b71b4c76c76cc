import type { Kind } from "../kind.js";
import { ageColumn } from "../age.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import { checkSpec } from "../schema/check.js";
import { referenceGrantSpec } from "./schema.js";
import type { ReferenceGrantSpec } from "./type.js";

export const referenceGrantKind: Kind<ReferenceGrantSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1beta1"],
  storageVersion: "v1beta1",
  kind: "ReferenceGrant",
  plural: "referencegrants",
  singular: "referencegrant",
  shortNames: ["refgrant"],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: [ageColumn],
  check: checkSpec({ schema: referenceGrantSpec }),
};
