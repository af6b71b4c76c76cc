import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { MeshConfigSpec } from "./type.js";

/** PROVIDERS AGE. */
export const meshConfigColumns: readonly Column[] = [
  textColumn<MeshConfigSpec>("Providers", "Services that policies name.", ({ spec }) =>
    (spec.extensionProviders ?? []).map(({ name }) => name).join(","),
  ),
  ageColumn,
];
