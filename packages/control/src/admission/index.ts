export { createAdmission, type Admit, type Verdict } from "./admission.js";
export { createQuarantine, type Quarantine } from "./quarantine.js";
export { PolicyDenialError } from "./policy-denial.js";
