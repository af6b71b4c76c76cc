export type * from "./options.js";
export { runSidecar } from "./main.js";
