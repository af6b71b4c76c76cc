export { createValidateApi } from "./validate-api.js";
