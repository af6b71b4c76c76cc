import type { Kind } from "../kind.js";
import { checkSecret } from "./check.js";
import { secretColumns } from "./columns.js";
import type { SecretSpec } from "./type.js";

export const secretKind: Kind<SecretSpec> = {
  group: "",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  scope: "Namespaced",
  columns: secretColumns,
  check: checkSecret,
  specless: true,
};
