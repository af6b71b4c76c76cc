import { z } from "zod";

/** JSON Schema as Kubernetes takes it in definitions of resources: every part has a type, and there are no unions. */
export interface StructuralSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly items?: StructuralSchema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly minItems?: number;
  readonly maxItems?: number;
  /** What has no type of its own here is taken as it is. */
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
}

/** What Kubernetes' form has of a schema. Rules between fields are for whoever checks: a webhook. */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return structural(
    z.toJSONSchema(schema, {
      target: "openapi-3.0",
      unrepresentable: "any",
      io: "input",
      reused: "inline",
    }) as JsonSchema,
  );
}

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly minItems?: number;
  readonly maxItems?: number;
}

function structural(schema: JsonSchema): StructuralSchema {
  const { type, properties, additionalProperties, items, required } = schema;
  if (type === undefined || (type === "array" && items === undefined))
    return { "x-kubernetes-preserve-unknown-fields": true };
  const { enum: values, minItems, maxItems } = schema;
  return {
    type,
    ...(properties === undefined ? {} : { properties: mapped(properties) }),
    // Beside fields that are named there are no others.
    ...(typeof additionalProperties === "object" && properties === undefined
      ? { additionalProperties: structural(additionalProperties) }
      : {}),
    ...(items === undefined ? {} : { items: structural(items) }),
    ...(required === undefined || required.length === 0 ? {} : { required }),
    ...(values === undefined ? {} : { enum: values }),
    ...(minItems === undefined ? {} : { minItems }),
    ...(maxItems === undefined ? {} : { maxItems }),
  };
}

function mapped(
  properties: Readonly<Record<string, JsonSchema>>,
): Readonly<Record<string, StructuralSchema>> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, structural(schema)]));
}
