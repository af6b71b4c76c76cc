/** Group of Kuma's policies. */
export const KUMA_GROUP = "kuma.io";

/** The label that says which mesh an object is of. */
export const MESH_LABEL = "kuma.io/mesh";
/** The label that has the name of a service. */
export const DISPLAY_NAME_LABEL = "kuma.io/display-name";
/** The label that has the namespace of a service or an object. */
export const NAMESPACE_LABEL = "k8s.kuma.io/namespace";

/** The only mesh that there is. */
export const DEFAULT_MESH = "default";
