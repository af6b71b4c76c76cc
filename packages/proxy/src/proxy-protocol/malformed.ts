import { MeshError } from "@tulle/base";

/** The error of a header that is none. */
export function malformed(what: string): MeshError {
  return new MeshError("invalid", "PROXY_PROTOCOL_MALFORMED", `not a valid PROXY header: ${what}`);
}
