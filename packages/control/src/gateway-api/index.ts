export { joinStatus } from "./join-status.js";
export * from "./route-statuses.js";
