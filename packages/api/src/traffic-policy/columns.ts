import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { TrafficPolicySpec } from "./type.js";

/** HOST PORT SETTINGS AGE. */
export const trafficPolicyColumns: readonly Column[] = [
  textColumn<TrafficPolicySpec>("Host", "The service that is called.", ({ spec }) => spec.host),
  textColumn<TrafficPolicySpec>("Port", "Of the service.", ({ spec }) =>
    spec.port === undefined ? "*" : String(spec.port),
  ),
  textColumn<TrafficPolicySpec>("Settings", "What it says something about.", ({ spec }) =>
    Object.keys(spec)
      .filter((name) => name !== "host" && name !== "port" && name !== "subset")
      .join(","),
  ),
  ageColumn,
];
