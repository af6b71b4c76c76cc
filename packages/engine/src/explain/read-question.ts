import { MeshError } from "@tulle/base";
import type { Question } from "./contract.js";
import { requestFrom } from "./request-from.js";

/**
 * A question as JSON: `{method, url, headers: ["name: value"], requestId}`, and for what comes in
 * `{direction: "inbound", principal, serverName, remoteAddress, localAddress}`. Only `url` must be there; other fields are not looked at. Throws
 * MeshError `invalid` with what is wrong.
 */
export function readQuestion(body: unknown): Question {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw wrong('write a JSON object such as {"method": "GET", "url": "http://reviews:9080/api"}');
  const fields = body as Readonly<Record<string, unknown>>;
  const url = textOf(fields, "url");
  if (url === undefined) throw wrong('"url" must be set, such as "http://reviews:9080/api"');
  const direction = textOf(fields, "direction") ?? "outbound";
  if (direction !== "outbound" && direction !== "inbound")
    throw wrong('"direction" must be "outbound" or "inbound"');
  const request = requestFrom({
    method: textOf(fields, "method") ?? "GET",
    url,
    headers: headersOf(fields["headers"]),
  });
  const principal = textOf(fields, "principal");
  return {
    direction,
    request: direction === "inbound" && principal !== undefined ? { ...request, scheme: "https" } : request,
    requestId: textOf(fields, "requestId"),
    principal,
    serverName: textOf(fields, "serverName"),
    remoteAddress: textOf(fields, "remoteAddress"),
    localAddress: textOf(fields, "localAddress"),
  };
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw wrong(`"${name}" must be a text`);
  return value;
}

function headersOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === "string"))
    throw wrong('"headers" must be a list of "name: value"');
  return value;
}

function wrong(message: string): MeshError {
  return new MeshError("invalid", "ENGINE_BAD_QUESTION", message);
}
