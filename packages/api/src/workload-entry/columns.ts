import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { WorkloadEntrySpec } from "./type.js";

/** AGE ADDRESS, as Istio's definition has them. */
export const workloadEntryColumns: readonly Column[] = [
  ageColumn,
  textColumn<WorkloadEntrySpec>("Address", "Address of the workload.", ({ spec }) => spec.address),
];
