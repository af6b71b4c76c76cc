/** Names of fields whose values are secrets, or may be: nobody who looks at a request later needs them. */
const SECRET_FIELD =
  /^(authorization|proxy-authorization|cookie|set-cookie|x-forwarded-client-cert)$|auth|token|secret|passw|api-?key|credential|session|jwt|signature|otp/;

/** Names of parameters of a query string whose values are. */
const SECRET_PARAMETER =
  /token|secret|passw|api[-_]?key|credential|session|jwt|signature|(^|[-_])(auth|sig|code|otp)$/i;

export const REDACTED = "<redacted>";

/** What is kept of such a field: the scheme of credentials (RFC 9110 section 11.4), so that it can be told what was sent. */
export function redactValue(name: string, value: string): string {
  const scheme = name.endsWith("authorization") ? /^[A-Za-z][A-Za-z0-9-]{0,31} (?=.)/.exec(value) : null;
  return `${scheme?.[0] ?? ""}${REDACTED}`;
}

/** Whether the value of a field must not be kept. `name`: lower-case. */
export function isSecretField(name: string): boolean {
  return SECRET_FIELD.test(name);
}

/** The path without the values of parameters that are secrets by their names. */
export function redactPath(path: string): string {
  const start = path.indexOf("?");
  if (start < 0) return path;
  const parts = path.slice(start + 1).split(/([&;])/);
  return path.slice(0, start + 1) + parts.map(redactParameter).join("");
}

function redactParameter(text: string): string {
  const end = text.indexOf("=");
  if (end < 0 || !SECRET_PARAMETER.test(decoded(text.slice(0, end)))) return text;
  return `${text.slice(0, end + 1)}${REDACTED}`;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
