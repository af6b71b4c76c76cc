import type { Violation } from "@tulle/api";
import { checkDefinition, type CheckDefinition } from "../../definition.js";
import { nodeIdOf } from "../../node-id.js";
import type { NodeRegistration } from "../../registry.js";
import { FieldReader } from "./field-reader.js";
import { parseStatus } from "./parse-check.js";
import { parseService } from "./parse-service.js";

/** Reads the body of `PUT /v1/catalog/register`: a node, and at most one service and checks with it. */
export function parseCatalogRegistration(
  body: unknown,
  defaultNamespace: string,
): { registration: NodeRegistration; violations: readonly Violation[] } {
  const fields = FieldReader.of(body);
  const name = fields.text("Node");
  const serviceFields = fields.object("Service");
  const service =
    serviceFields === undefined ? undefined : parseService(serviceFields, "Service", defaultNamespace);
  const single = fields.object("Check");
  const given = [...(single === undefined ? [] : [single]), ...fields.objects("Checks")];
  return {
    registration: {
      node: {
        name,
        address: fields.text("Address"),
        id: fields.text("ID") || nodeIdOf(name),
        meta: fields.textMap("NodeMeta"),
        taggedAddresses: fields.textMap("TaggedAddresses"),
      },
      ...(service === undefined ? {} : { service }),
      checks: given.map((check) => ({
        definition: parseForeignCheck(check, service?.namespace ?? defaultNamespace),
        output: check.text("Output").slice(0, 4096),
      })),
    },
    violations: fields.violations,
  };
}

/** The catalog only notes what somebody else found out: a `Definition` in the body is not run. */
function parseForeignCheck(fields: FieldReader, namespace: string): CheckDefinition {
  const id = fields.text("CheckID") || fields.text("Name");
  return checkDefinition({
    id,
    name: fields.text("Name") || id,
    notes: fields.text("Notes"),
    namespace: fields.text("Namespace") || namespace,
    serviceId: fields.text("ServiceID"),
    probe: { kind: "none" },
    initialStatus: parseStatus(fields, "critical"),
  });
}
