import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { sidecarColumns } from "./columns.js";
import { sidecarSpec } from "./schema.js";
import type { SidecarSpec } from "./type.js";

export const sidecarKind: Kind<SidecarSpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "Sidecar",
  plural: "sidecars",
  singular: "sidecar",
  shortNames: [],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: sidecarColumns,
  // `spec: {}` is how a namespace opts out of the mesh's default.
  check: checkSpec({ schema: sidecarSpec, specOptional: true }),
};
