export { describePolicy, type PolicyClient } from "./effective-policy.js";
