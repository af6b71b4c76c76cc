import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { listenerSetSpec } from "./schema.js";
import type { ListenerSetSpec } from "./type.js";

export const listenerSetKind: Kind<ListenerSetSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1"],
  storageVersion: "v1",
  kind: "ListenerSet",
  plural: "listenersets",
  singular: "listenerset",
  shortNames: ["lset"],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: [
    textColumn<ListenerSetSpec>("Gateway", "What its listeners are added to.", ({ spec: { parentRef } }) =>
      parentRef.namespace === undefined ? parentRef.name : `${parentRef.namespace}/${parentRef.name}`,
    ),
    textColumn<ListenerSetSpec>("Listeners", "Ports that are opened.", ({ spec }) =>
      listCell([...new Set(spec.listeners.map(({ port, protocol }) => `${port}/${protocol}`))]),
    ),
    ageColumn,
  ],
  check: checkSpec({ schema: listenerSetSpec }),
};
