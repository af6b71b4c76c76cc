import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { DestinationRuleSpec } from "./type.js";

/** HOST AGE, as Istio's definition has them. */
export const destinationRuleColumns: readonly Column[] = [
  textColumn<DestinationRuleSpec>("Host", "Host that the rule is for.", ({ spec }) => spec.host),
  ageColumn,
];
