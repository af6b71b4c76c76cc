export { AddressGuard } from "./address-guard.js";
export { guardedFetch } from "./guarded-fetch.js";
export { TokenKeys } from "./token-keys.js";
