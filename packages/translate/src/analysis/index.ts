export { analyze, type AnalyzeOptions } from "./analyze.js";
export { ALLOW_CONFLICT_ANNOTATION, CONFLICTING_KINDS, conflictsOf, type Conflict } from "./conflicts.js";
