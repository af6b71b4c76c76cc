import type { JsonObject } from "@bufbuild/protobuf";
import { base64Decode, getTextEncoding } from "@bufbuild/protobuf/wire";
import type { JwtCheck, JwtVerdict } from "../facts/jwt.js";

/** What would be found of a token if its signature and its dates were good: for explanations, which verify nothing. */
export function assumedVerdict({ rule, token }: JwtCheck): JwtVerdict {
  const payload = payloadOf(token);
  if (payload === undefined) {
    const reason = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    return { status: "bad", reason };
  }
  if (rule.issuer !== "" && payload["iss"] !== rule.issuer) return { status: "other-issuer" };
  const audiences = [payload["aud"]].flat();
  if (rule.audiences.length > 0 && !rule.audiences.some((one) => audiences.includes(one)))
    return { status: "bad", reason: "Audiences in Jwt are not allowed" };
  return { status: "good", payload, encodedPayload: token.split(".")[1] ?? "" };
}

function payloadOf(token: string): JsonObject | undefined {
  const parts = token.split(".");
  const [, payload = ""] = parts;
  if (parts.length !== 3 || !/^[A-Za-z0-9_-]+$/.test(payload)) return undefined;
  try {
    const value: unknown = JSON.parse(getTextEncoding().decodeUtf8(base64Decode(payload)));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}
