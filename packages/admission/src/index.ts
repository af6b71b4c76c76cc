export { policyFindings } from "./findings.js";
export { denialText, PolicyReviewer, warningText, type PolicyFinding, type Review } from "./reviewer.js";
export type { AdmissionUser, AdmissionWrite, StoredObjects } from "./write.js";
