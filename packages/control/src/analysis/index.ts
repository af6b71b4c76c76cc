export { createAnalysisApi } from "./analysis-api.js";
export { Findings } from "./findings.js";
export { overlay } from "./overlay-reader.js";
