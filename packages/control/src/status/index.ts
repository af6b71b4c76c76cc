export { createObjectStatus, type FullStatus } from "./object-status.js";
