export { AddressGuard } from "./address-guard.js";
export { guardedFetch } from "./guarded-fetch.js";
export { StoredKeys } from "./stored-keys.js";
export { TokenKeys } from "./token-keys.js";
export type { FetchText } from "./fetch-keys.js";
export { JwksSource } from "./jwks-source.js";
export { operatorFetch } from "./operator-fetch.js";
export { claimAt, claimText, isJwt, tokenHead, verifyToken, type TokenRule } from "./verify-token.js";
