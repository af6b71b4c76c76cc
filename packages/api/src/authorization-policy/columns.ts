import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { AuthorizationPolicySpec } from "./type.js";

/** ACTION AGE, as Istio's definition has them. */
export const authorizationPolicyColumns: readonly Column[] = [
  textColumn<AuthorizationPolicySpec>(
    "Action",
    "What becomes of requests that match.",
    ({ spec }) => spec.action,
  ),
  ageColumn,
];
