export { createAdmission, type Admit, type Verdict } from "./admission.js";
export { newlyBroken, type BrokenChain } from "./broken-chains.js";
export { createQuarantine, type Quarantine } from "./quarantine.js";
export { PolicyDenialError } from "./policy-denial.js";
export { invalidObject, Judge, type JudgedWrite, type JudgeOptions, type Writer } from "./judge.js";
