export * from "./route-statuses.js";
