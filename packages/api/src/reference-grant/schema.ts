import type { z } from "zod";
import { namespaceName } from "../schema/namespaces.js";
import { struct } from "../schema/struct.js";
import { oneTo } from "../gateway-api/lists.js";
import { group, kindName, objectName } from "../gateway-api/names.js";
import type { ReferenceGrantSpec } from "./type.js";

/** Gateway API's ReferenceGrant. */
export const referenceGrantSpec: z.ZodType<ReferenceGrantSpec> = struct({
  from: oneTo(16, struct({ group, kind: kindName, namespace: namespaceName })),
  to: oneTo(16, struct({ group, kind: kindName, name: objectName.exactOptional() })),
});
