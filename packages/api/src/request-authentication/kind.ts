import { ageColumn } from "../age.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { requestAuthenticationSpec } from "./schema.js";
import type { RequestAuthenticationSpec } from "./type.js";
import { warnOfAuthentication } from "./warnings.js";

export const requestAuthenticationKind: Kind<RequestAuthenticationSpec> = {
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "RequestAuthentication",
  plural: "requestauthentications",
  singular: "requestauthentication",
  shortNames: ["ra"],
  categories: ["istio-io", "security-istio-io"],
  scope: "Namespaced",
  columns: [ageColumn],
  check: checkSpec({ schema: requestAuthenticationSpec, specOptional: true, warn: warnOfAuthentication }),
};
