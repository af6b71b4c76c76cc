export * from "./contract.js";
export { explain, type ExplainView } from "./explain.js";
export { readQuestion } from "./read-question.js";
export { requestFrom, type WrittenRequest } from "./request-from.js";
export type { KnownFacts } from "./explain-admission.js";
export { kindOf } from "./owner.js";
