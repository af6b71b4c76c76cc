import type { z } from "zod";
import { GATEWAY_API_GROUP, group, kindName, objectName } from "../gateway-api/names.js";
import { distinctListeners, gatewayListeners } from "../k8s-gateway/schema.js";
import { namespaceName } from "../schema/namespaces.js";
import { struct, unique, type Rule } from "../schema/struct.js";
import type { ListenerSetSpec } from "./type.js";

const isGateway: Rule = ({ group: ofGroup = GATEWAY_API_GROUP, kind = "Gateway" }, report) => {
  if (ofGroup !== GATEWAY_API_GROUP || kind !== "Gateway")
    report(["kind"], `must be a Gateway of ${GATEWAY_API_GROUP}`);
};

/** Every field of a ListenerSet. */
export const listenerSetSpec: z.ZodType<ListenerSetSpec> = struct(
  {
    parentRef: struct(
      {
        group: group.exactOptional(),
        kind: kindName.exactOptional(),
        name: objectName,
        namespace: namespaceName.exactOptional(),
      },
      isGateway,
    ),
    listeners: gatewayListeners,
  },
  unique("listeners", "name"),
  distinctListeners,
);
