import type { GrpcJsonTranscoderSpec, MeshObject } from "@tulle/api";
import { describedBy } from "../../grpc-json-transcoders.js";
import { CONFIG_MAP } from "../../kinds.js";
import type { Analysis } from "../analysis.js";

/** TUL0001: descriptors that are not there, or do not describe the services. */
export function analyzeTranscoder(analysis: Analysis, object: MeshObject<GrpcJsonTranscoderSpec>): void {
  const configMaps = analysis.reader.objects(CONFIG_MAP.group, CONFIG_MAP.kind);
  const described = describedBy(object, configMaps);
  if ("problem" in described)
    analysis.report("TUL0001", object, "spec.descriptors", `${described.problem}: nothing is translated`);
}
