import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { serverSpec } from "./schema.js";
import type { ServerSpec } from "./type.js";

export const serverKind: Kind<ServerSpec> = {
  group: "policy.linkerd.io",
  versions: ["v1beta3", "v1beta2", "v1beta1"],
  storageVersion: "v1beta3",
  kind: "Server",
  plural: "servers",
  singular: "server",
  shortNames: [],
  categories: ["linkerd"],
  scope: "Namespaced",
  columns: [
    textColumn<ServerSpec>("Port", "Where the application listens.", ({ spec }) => String(spec.port)),
    ageColumn,
  ],
  check: checkSpec({
    schema: serverSpec,
    warn: ({ proxyProtocol }) =>
      proxyProtocol === undefined
        ? []
        : ["spec.proxyProtocol has no effect: a port says itself what it carries, or it is found out"],
  }),
};
