import type { JsonObject } from "@bufbuild/protobuf";
import type { JwtFailure } from "@tulle/engine";

import { hasUniqueMembers } from "./unique-members.js";

/** Longest token. Longer ones do not fit into the fields of most servers. */
const MAX_TOKEN_LENGTH = 16_384;
/** Three parts in base64url without padding (RFC 7515 section 7.1), the signature among them: nothing else is read. */
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** A token in its compact form, taken apart. Nothing of it is verified. */
export interface ReadToken {
  readonly payload: JsonObject;
  readonly encodedPayload: string;
}

/** Takes a token apart, or says why it is none. */
export function readToken(token: string): ReadToken | JwtFailure {
  if (token.length > MAX_TOKEN_LENGTH) return "Jwt is too large";
  const parts = COMPACT.exec(token);
  if (parts === null)
    return "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
  const [, encodedHeader = "", encodedPayload = ""] = parts;
  const header = objectOf(encodedHeader);
  if (header === undefined) return "Jwt header is an invalid JSON";
  // No extension is understood here (RFC 7515 section 4.1.11), that of an unencoded payload neither.
  if (Object.hasOwn(header, "crit") || Object.hasOwn(header, "b64")) return "Header crit is not supported";
  const payload = objectOf(encodedPayload);
  return payload === undefined ? "Jwt payload is an invalid JSON" : { payload, encodedPayload };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function objectOf(encoded: string): JsonObject | undefined {
  // One character of a group of four stands for nothing, and decoders differ in what they make of it.
  if (encoded.length % 4 === 1) return undefined;
  try {
    const text = UTF8.decode(Buffer.from(encoded, "base64url"));
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return hasUniqueMembers(text) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
