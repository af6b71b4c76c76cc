import { namespaceName } from "../schema/namespaces.js";
import { port, weight } from "../schema/numbers.js";
import { struct, type Rule } from "../schema/struct.js";
import { group, kindName, objectName } from "./names.js";

const reference = {
  group: group.exactOptional(),
  kind: kindName.exactOptional(),
  name: objectName,
  namespace: namespaceName.exactOptional(),
  port: port.exactOptional(),
};

/** A Service is named with its port. */
const servicePort: Rule = (fields, report) => {
  const { group: ofGroup = "", kind = "Service", port: given } = fields;
  if (ofGroup === "" && kind === "Service" && given === undefined) {
    report(["port"], "is required for a Service");
  }
};

/** A reference to a backend, without weight: of a mirror. */
export const backendObjectRef = struct(reference, servicePort);

/** Fields and rules of a rule's backends; HTTP's and gRPC's have filters besides. */
export const backendFields = { ...reference, weight: weight.exactOptional() };
export const backendRules: readonly Rule[] = [servicePort];

export const backendRef = struct(backendFields, ...backendRules);
