export type * from "./options.js";
export { runSidecar } from "./main.js";
export { upstreamEnvironment, type UpstreamAddress } from "./lifecycle/environment.js";
