import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Column } from "../kind.js";
import type { GrpcJsonTranscoderSpec } from "./type.js";

/** SERVICES AGE. */
export const grpcJsonTranscoderColumns: readonly Column[] = [
  textColumn<GrpcJsonTranscoderSpec>(
    "Services",
    "gRPC services that are called by HTTP with JSON.",
    ({ spec }) => spec.services.join(","),
  ),
  ageColumn,
];
