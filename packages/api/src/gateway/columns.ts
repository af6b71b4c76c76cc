import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { GatewaySpec } from "./type.js";

/** PORTS HOSTS AGE. Istio's definition has no columns; what is opened for whom is what one looks for. */
export const gatewayColumns: readonly Column[] = [
  textColumn<GatewaySpec>("Ports", "Ports that are opened.", ({ spec }) =>
    listCell([...new Set(spec.servers.map(({ port }) => `${port.number}/${port.protocol}`))]),
  ),
  textColumn<GatewaySpec>("Hosts", "Hosts that are served.", ({ spec }) =>
    listCell([...new Set(spec.servers.flatMap(({ hosts }) => hosts))]),
  ),
  ageColumn,
];
