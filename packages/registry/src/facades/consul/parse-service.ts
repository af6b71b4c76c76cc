import type { Violation } from "@tulle/api";
import {
  serviceDefinition,
  type CheckDefinition,
  type ServiceDefinition,
  type TaggedAddress,
} from "../../definition.js";
import { FieldReader } from "./field-reader.js";
import { parseCheck } from "./parse-check.js";

export interface ParsedRegistration {
  readonly service: ServiceDefinition;
  readonly checks: readonly CheckDefinition[];
  readonly violations: readonly Violation[];
}

/** Reads the body of `PUT /v1/agent/service/register`. `defaultNamespace` is that of the query. */
export function parseRegistration(body: unknown, defaultNamespace: string): ParsedRegistration {
  const fields = FieldReader.of(body);
  refuseUnsupported(fields);
  const service = parseService(fields, "Name", defaultNamespace);
  const given = [
    ...(fields.has("Check") ? [fields.object("Check")] : []),
    ...fields.objects("Checks"),
  ].filter((check) => check !== undefined);
  const checks = given.map((check, at) =>
    parseCheck(check, {
      namespace: service.namespace,
      serviceId: service.id,
      defaultId: given.length === 1 ? `service:${service.id}` : `service:${service.id}:${at + 1}`,
      defaultName: `Service '${service.name}' check`,
    }),
  );
  return { service, checks, violations: fields.violations };
}

/** The parts that the agent's and the catalog's registration share; they name the service differently. */
export function parseService(
  fields: FieldReader,
  nameField: "Name" | "Service",
  defaultNamespace: string,
): ServiceDefinition {
  const name = fields.text(nameField);
  const weights = fields.object("Weights");
  const locality = fields.object("Locality");
  return serviceDefinition({
    name,
    id: fields.text("ID") || name,
    namespace: fields.text("Namespace") || defaultNamespace,
    tags: fields.texts("Tags"),
    address: fields.text("Address"),
    port: fields.number("Port"),
    meta: fields.textMap("Meta"),
    taggedAddresses: parseTaggedAddresses(fields),
    // An absent object means one each; an absent field in a given object means Go's zero, which Consul raises to one.
    weights: { passing: weights?.number("Passing", 1) ?? 1, warning: weights?.number("Warning", 1) ?? 1 },
    enableTagOverride: fields.boolean("EnableTagOverride"),
    locality:
      locality === undefined ? undefined : { region: locality.text("Region"), zone: locality.text("Zone") },
  });
}

function parseTaggedAddresses(fields: FieldReader): Readonly<Record<string, TaggedAddress>> {
  const out: Record<string, TaggedAddress> = Object.create(null);
  for (const [key, entry] of fields.objectMap("TaggedAddresses")) {
    out[key] = { address: entry.text("Address"), port: entry.number("Port") };
  }
  return out;
}

/** Parts of Consul's own mesh would be lost silently; better to say so. */
function refuseUnsupported(fields: FieldReader): void {
  const kind = fields.text("Kind");
  if (kind !== "" && kind !== "typical")
    fields.refuse(
      "Kind",
      `"${kind}" is not supported: sidecars and gateways are not registered as services here`,
    );
  if (fields.says("Proxy"))
    fields.refuse("Proxy", "is not supported: start the sidecar with `tulle run` or `tulle sidecar`");
  if (fields.says("SocketPath")) fields.refuse("SocketPath", "is not supported: give Address and Port");
  const connect = fields.object("Connect");
  if (connect?.has("SidecarService") === true || connect?.says("Native") === true) {
    fields.refuse("Connect", "is not supported: start the sidecar with `tulle run` or `tulle sidecar`");
  }
}
