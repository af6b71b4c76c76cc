import type { RequestAuthenticationSpec } from "./type.js";

/** What a valid object does that its author may not expect. */
export function warnOfAuthentication({ jwtRules = [] }: RequestAuthenticationSpec): readonly string[] {
  if (jwtRules.length === 0) return ["spec.jwtRules is empty: no token is verified"];
  return jwtRules.flatMap(({ jwksUri, fromParams = [], fromCookies = [], forwardOriginalToken }, index) => {
    const found: string[] = [];
    const path = `spec.jwtRules[${index}]`;
    if (jwksUri?.toLowerCase().startsWith("http:") === true) {
      found.push(`${path}.jwksUri is not https: who can alter what is fetched can make tokens`);
    }
    if (forwardOriginalToken !== true && fromParams.length + fromCookies.length > 0) {
      found.push(
        `${path}: tokens in parameters and cookies go on to the application: only headers are taken out`,
      );
    }
    return found;
  });
}
