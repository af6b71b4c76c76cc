import { PREFACE, readUint32, writeFrameHeader, writeUint32 } from "../http2/frame.js";

/** Frames as a hostile peer would write them: nothing is checked. For tests. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | string = "",
): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const header = Buffer.alloc(9);
  writeFrameHeader(header, 0, bytes.length, type, flags, streamId);
  return Buffer.concat([header, bytes]);
}

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 0x20;

export const data = (id: number, payload: string | Uint8Array, flags = 0): Buffer =>
  frame(0, flags, id, payload);
export const headers = (id: number, block: Uint8Array, flags = END_HEADERS | END_STREAM): Buffer =>
  frame(1, flags, id, block);
export const priority = (id: number, dependsOn: number, weight = 15): Buffer =>
  frame(2, 0, id, Buffer.concat([word(dependsOn), Buffer.of(weight)]));
export const rst = (id: number, code = 8): Buffer => frame(3, 0, id, word(code));
export const settings = (...pairs: number[]): Buffer => {
  const entries: Buffer[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const [setting = 0, value = 0] = pairs.slice(i, i + 2);
    entries.push(Buffer.concat([Buffer.of(setting >>> 8, setting), word(value)]));
  }
  return frame(4, 0, 0, Buffer.concat(entries));
};
export const settingsAck = (): Buffer => frame(4, 1, 0);
export const ping = (payload = "12345678", flags = 0): Buffer => frame(6, flags, 0, payload);
export const goaway = (last: number, code = 0): Buffer =>
  frame(7, 0, 0, Buffer.concat([word(last), word(code)]));
export const windowUpdate = (id: number, increment: number): Buffer => frame(8, 0, id, word(increment));
export const continuation = (id: number, block: Uint8Array, flags = END_HEADERS): Buffer =>
  frame(9, flags, id, block);

/** What every client begins with. */
export const clientStart = (...more: Buffer[]): Buffer => Buffer.concat([PREFACE, settings(), ...more]);

/** Fields as HPACK literals without indexing and without Huffman code, whatever they hold. */
export function literals(...fields: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const [name = "", value = ""] = fields.slice(i, i + 2);
    parts.push(Buffer.of(0), text(name), text(value));
  }
  return Buffer.concat(parts);
}

/** A valid GET, with `fields` after its pseudo fields. */
export const get = (...fields: string[]): Buffer =>
  literals(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ...fields);
/** A valid POST, with `fields` after its pseudo fields. */
export const post = (...fields: string[]): Buffer =>
  literals(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a", ...fields);
/** An extended CONNECT (RFC 8441), with `fields` after its pseudo fields. */
export const extendedConnect = (protocol: string, ...fields: string[]): Buffer =>
  literals(
    ":method",
    "CONNECT",
    ":protocol",
    protocol,
    ":scheme",
    "http",
    ":path",
    "/",
    ":authority",
    "a",
    ...fields,
  );

/** The head of a POST on stream 1, which stays open. */
export const OPEN = headers(1, post(), END_HEADERS);

/** What `make` gives for 0, 1, 2, ... */
export const many = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 0x7f) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [0x7f];
  let rest = bytes.length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) length.push(0x80 | (rest & 0x7f));
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

/** A frame taken apart. */
export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Takes a session's output apart; a client's preface is passed over. */
export function parseFrames(bytes: Buffer): SentFrame[] {
  const frames: SentFrame[] = [];
  let at = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0;
  while (at < bytes.length) {
    const length = readUint32(bytes, at) >>> 8;
    const payload = Buffer.from(bytes.subarray(at + 9, at + 9 + length));
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: readUint32(bytes, at + 5),
      payload,
    });
    at += 9 + length;
  }
  return frames;
}
