export { createAccessTokens, type AccessTokens } from "./access-tokens.js";
export { bootstrapAdmin } from "./bootstrap-admin.js";
export { createAuditLog, noAuditLog, type AuditLog, type AuditRecord, type AuditSink } from "./audit-log.js";
export {
  createAuthenticator,
  type Authenticate,
  type Authenticated,
  type VerifyBearer,
} from "./authenticator.js";
export { callerOf, createGate, userOf, type GateBindings, type ServeRequest } from "./gate.js";
export { issuerTokens } from "./issuer-tokens.js";
export { oidcLogins, type OidcProvider, type OidcRole } from "./oidc-logins.js";
export { OpenRequests } from "./open-requests.js";
export { createRotatingFile } from "./rotating-file.js";
