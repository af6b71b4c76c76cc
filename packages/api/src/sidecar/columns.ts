import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { SidecarSpec } from "./type.js";

/** HOSTS AGE. Istio's definition has no columns; which hosts may be called is what one looks for. */
export const sidecarColumns: readonly Column[] = [
  textColumn<SidecarSpec>("Hosts", "What the workloads may call.", ({ spec }) =>
    listCell(spec.egress?.flatMap(({ hosts }) => hosts)),
  ),
  ageColumn,
];
