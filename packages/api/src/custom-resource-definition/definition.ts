import type { Kind } from "../kind.js";
import { structuralSchema } from "./structural-schema.js";

/** The group of the kinds that are Tulle's own. */
export const OWN_GROUP = "tulle.dev";

/**
 * What makes Kubernetes store objects of a kind: a CustomResourceDefinition (`apiextensions.k8s.io/v1`) with the form of its spec. For kinds
 * with a `specSchema`.
 */
export function customResourceDefinition(kind: Kind): Readonly<Record<string, unknown>> {
  const { group, plural, singular, shortNames, categories, scope, specSchema } = kind;
  if (specSchema === undefined) throw new RangeError(`${kind.kind} has no schema`);
  const text = { type: "string" };
  const openAPIV3Schema = {
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: text,
      kind: text,
      metadata: { type: "object" },
      spec: structuralSchema(specSchema),
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural, singular, shortNames, categories },
      versions: kind.versions.map((name) => ({
        name,
        served: true,
        storage: name === kind.storageVersion,
        schema: { openAPIV3Schema },
        subresources: { status: {} },
        additionalPrinterColumns: [{ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }],
      })),
    },
  };
}
