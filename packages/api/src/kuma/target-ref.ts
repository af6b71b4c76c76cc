import { z } from "zod";
import { objectName } from "../gateway-api/names.js";
import { labels } from "../schema/labels.js";
import { namespaceName } from "../schema/namespaces.js";
import { port, weight } from "../schema/numbers.js";
import { isFields, struct, type Rule } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { DEFAULT_MESH, DISPLAY_NAME_LABEL, NAMESPACE_LABEL } from "./names.js";

const mesh = stringThat(
  (value) => value === DEFAULT_MESH,
  `"${DEFAULT_MESH}": there is one mesh, of that name`,
).exactOptional();
const sectionName = stringThat(
  (value) => /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(value),
  'a port\'s name or number, such as "http" or "8080"',
);

/** The fields that a reference may have besides `kind` and `mesh`; a starred one it must have. */
type FieldsOfKind = Readonly<Record<string, readonly string[]>>;

function fieldsOfKind(known: FieldsOfKind): Rule {
  const all = new Set(Object.values(known).flat().map(bare));
  return (fields, report) => {
    const { kind } = fields;
    if (typeof kind !== "string" || !Object.hasOwn(known, kind)) return;
    const allowed = known[kind] ?? [];
    for (const field of all) {
      const isThere = fields[field] !== undefined;
      if (isThere && !allowed.map(bare).includes(field))
        report([field], `cannot stand in a reference to a ${kind}`);
      if (!isThere && allowed.includes(`${field}*`)) report([field], `is required with kind ${kind}`);
    }
  };
}

function bare(field: string): string {
  return field.replace("*", "");
}

/** A service is named, or found by its labels. */
const nameOrLabels: Rule = (fields, report) => {
  const { kind, name, namespace, labels: wanted } = fields;
  if (kind === "Mesh") return;
  if (name !== undefined && wanted !== undefined) report(["labels"], "cannot stand together with name");
  if (name === undefined && wanted === undefined) report(["name"], "is required, or labels in its place");
  if (namespace !== undefined && name === undefined)
    report(["namespace"], `goes with a name; write the label ${NAMESPACE_LABEL}`);
  if (isFields(wanted) && wanted[DISPLAY_NAME_LABEL] === undefined) {
    report(["labels"], `must have ${DISPLAY_NAME_LABEL}, which says the service's name`);
  }
};

/** Whom one calls is a service; which of its instances takes the call is known only afterwards. */
const servicesOnly: Rule = ({ labels: wanted }, report) => {
  if (!isFields(wanted)) return;
  for (const key of Object.keys(wanted)) {
    if (key === DISPLAY_NAME_LABEL || key === NAMESPACE_LABEL) continue;
    report(["labels", key], `selects among instances: only backendRefs can; use ${DISPLAY_NAME_LABEL} alone`);
  }
};

const namedProxies: Rule = (fields, report) => {
  if (fields["kind"] !== "Dataplane") return;
  for (const field of ["name", "namespace", "sectionName"]) {
    if (fields[field] !== undefined) report([field], "is not known of proxies: select them by labels");
  }
};

/** Whose proxies a policy is for. */
export const topTargetRef = struct(
  {
    kind: z.enum(["Mesh", "Dataplane", "MeshSubset", "MeshService", "MeshServiceSubset"]),
    mesh,
    name: objectName.exactOptional(),
    namespace: namespaceName.exactOptional(),
    labels: labels.exactOptional(),
    tags: labels.exactOptional(),
    sectionName: sectionName.exactOptional(),
    proxyTypes: z
      .array(z.enum(["Sidecar", "Gateway"]))
      .min(1, "must have at least one item")
      .exactOptional(),
  },
  fieldsOfKind({
    Mesh: ["proxyTypes"],
    Dataplane: ["labels", "name", "namespace", "sectionName"],
    MeshSubset: ["tags", "proxyTypes"],
    MeshService: ["name*", "namespace"],
    MeshServiceSubset: ["name*", "namespace", "tags"],
  }),
  namedProxies,
);

const destination = {
  mesh,
  name: objectName.exactOptional(),
  namespace: namespaceName.exactOptional(),
  labels: labels.exactOptional(),
};
const named = ["name", "namespace", "labels", "sectionName"];

/** Calls of which service a route is for. */
export const routedDestination = struct(
  {
    ...destination,
    kind: z.enum(["MeshService", "MeshExternalService", "MeshMultiZoneService"]),
    sectionName: sectionName.exactOptional(),
  },
  nameOrLabels,
  servicesOnly,
);

/** Calls of which services a policy is for. */
export const policyDestination = struct(
  {
    ...destination,
    kind: z.enum(["Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService"]),
    sectionName: sectionName.exactOptional(),
  },
  fieldsOfKind({ Mesh: [], MeshService: named, MeshExternalService: named, MeshMultiZoneService: named }),
  nameOrLabels,
  servicesOnly,
);

const backend = {
  ...destination,
  kind: z.enum(["MeshService", "MeshServiceSubset", "MeshExternalService", "MeshMultiZoneService"]),
  tags: labels.exactOptional(),
  port: port.exactOptional(),
};
const backendRules: readonly Rule[] = [
  fieldsOfKind({
    MeshService: ["name", "namespace", "labels"],
    MeshMultiZoneService: ["name", "namespace", "labels"],
    MeshServiceSubset: ["name*", "namespace", "tags"],
    MeshExternalService: ["name*", "namespace"],
  }),
  nameOrLabels,
];

/** Where a rule sends calls. */
export const backendRef = struct({ ...backend, weight: weight.exactOptional() }, ...backendRules);

/** Where a mirror sends copies: all of them to one. */
export const mirrorBackendRef = struct(backend, ...backendRules);
