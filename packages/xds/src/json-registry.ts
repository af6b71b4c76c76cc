import type { Registry } from "@bufbuild/protobuf";

let loading: Promise<Registry> | undefined;

/**
 * Every message that may stand in an Any of Tulle's, for printing xDS as JSON (`toJson(…, { registry })`). It costs
 * tens of megabytes, so it is loaded when first asked for, once per process.
 */
export function loadJsonRegistry(): Promise<Registry> {
  loading ??= import("./json-registry-messages.js").then(({ jsonRegistry }) => jsonRegistry);
  return loading;
}
