import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { peerAuthenticationColumns } from "./columns.js";
import { peerAuthenticationSpec } from "./schema.js";
import type { PeerAuthenticationSpec } from "./type.js";

export const peerAuthenticationKind: Kind<PeerAuthenticationSpec> = {
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "PeerAuthentication",
  plural: "peerauthentications",
  singular: "peerauthentication",
  shortNames: ["pa"],
  categories: ["istio-io", "security-istio-io"],
  scope: "Namespaced",
  columns: peerAuthenticationColumns,
  // `kubectl create` of an object without spec is how Istio's users say "inherit".
  check: checkSpec({ schema: peerAuthenticationSpec, specOptional: true }),
};
