import { createHash, randomBytes } from "node:crypto";

import {
  hasToken,
  joinHeader,
  lowerName,
  type HeaderList,
  type RequestHead,
  type ResponseHead,
} from "@tulle/http";

// What belongs to one HTTP/1.1 connection in an upgrade (RFC 9110 section 7.8): Connection, Upgrade and, for WebSocket,
// key and accept (RFC 6455 section 4). HTTP/2 has none of it (RFC 8441 section 5), so each hop makes its own.

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Whether a request asks for WebSocket without a key that could be answered. */
export function lacksKey({ upgrade, headers }: RequestHead): boolean {
  return isWebSocket(upgrade) && !KEY.test(joinHeader(headers, "sec-websocket-key") ?? "");
}

/** Adds to a request what asks the server for `protocol`. Returns WebSocket's key, "" for other protocols. */
export function askToSwitch(headers: HeaderList, protocol: string): string {
  headers.push("Connection", "Upgrade", "Upgrade", protocol);
  if (!isWebSocket(protocol)) return "";
  const key = randomBytes(16).toString("base64");
  headers.push("Sec-WebSocket-Key", key);
  return key;
}

/** Why a 101 does not switch to what was asked for; "" when it does. `key`: as `askToSwitch` gave it. */
export function wrongSwitch({ headers }: ResponseHead, protocol: string, key: string): string {
  if (protocol === "") return "unsolicited 101";
  if (joinHeader(headers, "upgrade")?.toLowerCase() !== protocol.toLowerCase()) {
    return `101 without Upgrade: ${protocol}`;
  }
  if (!hasToken(headers, "connection", "upgrade")) return "101 without Connection: Upgrade";
  if (key !== "" && joinHeader(headers, "sec-websocket-accept") !== acceptOf(key)) {
    return "101 with a wrong Sec-WebSocket-Accept";
  }
  return "";
}

/** Adds to a 101 what tells the client of `request` that it has what it asked for. */
export function confirmSwitch(headers: HeaderList, request: RequestHead): void {
  headers.push("Connection", "Upgrade", "Upgrade", request.upgrade);
  if (!isWebSocket(request.upgrade)) return;
  const key = joinHeader(request.headers, "sec-websocket-key") ?? "";
  headers.push("Sec-WebSocket-Accept", acceptOf(key));
}

function isWebSocket(protocol: string): boolean {
  return lowerName(protocol) === "websocket";
}

function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
}
