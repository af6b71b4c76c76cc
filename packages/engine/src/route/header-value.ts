import type { HeaderList } from "@tulle/http";
import type { EngineRequest } from "../contract.js";

/** The values of a field, joined by "," when it occurs more than once; undefined when absent. `name` is lower-case. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  let value: string | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index]!, name)) continue;
    value = value === undefined ? headers[index + 1]! : `${value},${headers[index + 1]!}`;
  }
  return value;
}

/** As `headerValue`, for pseudo headers (`:path`) too. */
export function requestValue(request: EngineRequest, name: string): string | undefined {
  if (name.charCodeAt(0) !== COLON) {
    // An HTTP/1.1 `host` is the authority (RFC 9113 section 8.3.1).
    return name === "host" ? request.authority : headerValue(request.headers, name);
  }
  switch (name) {
    case ":authority":
      return request.authority;
    case ":method":
      return request.method;
    case ":path":
      return request.path;
    case ":scheme":
      return request.scheme;
    default:
      return undefined;
  }
}

/** Whether a field's name as received is `lowerName`. Does not allocate when the spelling or the length tells. */
export function sameName(received: string, lowerName: string): boolean {
  if (received.length !== lowerName.length) return false;
  return received === lowerName || received.toLowerCase() === lowerName;
}

const COLON = 0x3a;
