import { z } from "zod";
import { isLabelValue, isQualifiedName, LABEL_KEY, LABEL_VALUE, labels } from "./labels.js";
import { stringThat } from "./strings.js";
import { struct } from "./struct.js";

/** Kubernetes' selector of labels: everything in it must hold. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

export const labelSelector: z.ZodType<LabelSelector> = struct({
  matchLabels: labels.exactOptional(),
  matchExpressions: z
    .array(
      struct({
        key: stringThat(isQualifiedName, LABEL_KEY),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: z.array(stringThat(isLabelValue, LABEL_VALUE)).exactOptional(),
      }),
    )
    .exactOptional(),
});

/** Whether labels are selected: by an empty selector all are. */
export function selectsLabels(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  of: Readonly<Record<string, string>>,
): boolean {
  const valueOf = (key: string): string | undefined => (Object.hasOwn(of, key) ? of[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key);
      switch (operator) {
        case "In":
          return value !== undefined && values.includes(value);
        case "NotIn":
          return value === undefined || !values.includes(value);
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
      }
    })
  );
}
