export { createObjectStatus } from "./object-status.js";
