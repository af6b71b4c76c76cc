import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import type { Column } from "../kind.js";

/** HOSTNAMES AGE, as Gateway API's definitions of routes have them. */
export const hostnameColumns: readonly Column[] = [
  textColumn<{ readonly hostnames?: readonly string[] }>(
    "Hostnames",
    "Hosts that the route is for.",
    ({ spec }) => listCell(spec.hostnames),
  ),
  ageColumn,
];
