import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { VirtualServiceSpec } from "./type.js";

/** GATEWAYS HOSTS AGE, as Istio's definition has them. */
export const virtualServiceColumns: readonly Column[] = [
  textColumn<VirtualServiceSpec>("Gateways", "Gateways and sidecars that apply the routes.", ({ spec }) =>
    listCell(spec.gateways),
  ),
  textColumn<VirtualServiceSpec>("Hosts", "Hosts that the routes are for.", ({ spec }) =>
    listCell(spec.hosts),
  ),
  ageColumn,
];
