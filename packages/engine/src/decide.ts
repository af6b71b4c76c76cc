export { admit, hasSteps } from "./admit/admit.js";
export { AdmissionProgress } from "./admit/admission-progress.js";
export { isRepeatable, next } from "./next/next.js";
export { pick } from "./pick/pick.js";
export { route } from "./route/route.js";
export { routeConnection } from "./route/route-connection.js";
export { shadowHost } from "./route/mirror.js";
