export { admit, hasSteps } from "./admit/admit.js";
export {
  admitConnection,
  ConnectionProgress,
  type ConnectionJudgement,
  type ConnectionRefusal,
} from "./authorization/connection-guard.js";
export { AdmissionProgress } from "./admit/admission-progress.js";
export { countFirstTry, countRetry } from "./next/budget.js";
export { mayHedge, next } from "./next/next.js";
export { isRepeatable } from "./next/verdict.js";
export { pick } from "./pick/pick.js";
export { requestControls } from "./route/request-controls.js";
export { internalRedirect, noteRedirect } from "./route/internal-redirect.js";
export { route } from "./route/route.js";
export { followsDestination, routeConnection } from "./route/route-connection.js";
export { shadowHost } from "./route/mirror.js";
