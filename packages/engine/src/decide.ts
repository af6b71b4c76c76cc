export { admit, hasSteps } from "./admit/admit.js";
export { AdmissionProgress } from "./admit/admission-progress.js";
export { countFirstTry, countRetry } from "./next/budget.js";
export { mayHedge, next } from "./next/next.js";
export { isRepeatable } from "./next/verdict.js";
export { pick } from "./pick/pick.js";
export { requestControls } from "./route/request-controls.js";
export { route } from "./route/route.js";
export { routeConnection } from "./route/route-connection.js";
