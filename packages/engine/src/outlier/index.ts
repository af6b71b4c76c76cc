export { OutlierDetector } from "./detector.js";
export type { OutlierDetectorOptions, OutlierEvent } from "./detector.js";
export { healthOf } from "./health.js";
export type { EndpointHealth } from "./health.js";
export { OUTLIER_KINDS, PROBE_FAILED, PROBE_PASSED, SUSPECT_TOLD } from "./kinds.js";
export type { OutlierKind } from "./kinds.js";
export { offerProbe, takeProbe } from "./probation.js";
export { probeAnswered, recordAnswer, recordConnected, recordReached, recordUnreached } from "./record.js";
