import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { ServiceEntrySpec } from "./type.js";

/** HOSTS LOCATION RESOLUTION AGE, as Istio's definition has them. */
export const serviceEntryColumns: readonly Column[] = [
  textColumn<ServiceEntrySpec>("Hosts", "Hosts of the service.", ({ spec }) => listCell(spec.hosts)),
  textColumn<ServiceEntrySpec>("Location", "Outside the mesh or inside.", ({ spec }) => spec.location),
  textColumn<ServiceEntrySpec>("Resolution", "How its addresses are found.", ({ spec }) => spec.resolution),
  ageColumn,
];
