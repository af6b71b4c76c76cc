import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { grpcJsonTranscoderColumns } from "./columns.js";
import { grpcJsonTranscoderSpec } from "./schema.js";
import type { GrpcJsonTranscoderSpec } from "./type.js";

export const grpcJsonTranscoderKind: Kind<GrpcJsonTranscoderSpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "GrpcJsonTranscoder",
  plural: "grpcjsontranscoders",
  singular: "grpcjsontranscoder",
  shortNames: ["gjt"],
  categories: ["tulle"],
  scope: "Namespaced",
  columns: grpcJsonTranscoderColumns,
  specSchema: grpcJsonTranscoderSpec,
  check: checkSpec({ schema: grpcJsonTranscoderSpec }),
};
