export type * from "./stores/coordination.js";
export type * from "./stores/resource-store.js";
