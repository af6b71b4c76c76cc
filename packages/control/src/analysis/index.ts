export { createAnalysisApi } from "./analysis-api.js";
export { Findings } from "./findings.js";
export { overlay, without } from "./overlay-reader.js";
