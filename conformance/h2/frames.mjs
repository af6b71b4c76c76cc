/** Frames as a client of any manners may write them: nothing is checked. RFC 9113 section 6, RFC 7541. */

export const Type = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
};
export const TYPE_NAMES = Object.keys(Type);

export const Flag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 };

export const ERROR_NAMES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
];

export const Setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
};

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const MAX_WINDOW = 0x7fff_ffff;
/** What fits into one frame unless SETTINGS_MAX_FRAME_SIZE says otherwise. */
export const FRAME_BYTES = 16_384;

export function frame(type, flags, streamId, payload = "") {
  const bytes = Buffer.from(payload, "latin1");
  const header = Buffer.alloc(9);
  header.writeUIntBE(bytes.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, bytes]);
}

const END = Flag.END_HEADERS | Flag.END_STREAM;

export const data = (id, payload, flags = Flag.END_STREAM) => frame(Type.DATA, flags, id, payload);
/** A head; a request that ends with it unless `flags` say otherwise. */
export const headers = (id, block, flags = END) => frame(Type.HEADERS, flags, id, block);
export const openHeaders = (id, block) => headers(id, block, Flag.END_HEADERS);
export const continuation = (id, block, flags = Flag.END_HEADERS) =>
  frame(Type.CONTINUATION, flags, id, block);
export const priorityFields = (dependsOn, weight = 255) =>
  Buffer.concat([word(dependsOn), Buffer.of(weight)]);
export const priority = (id, dependsOn, weight) =>
  frame(Type.PRIORITY, 0, id, priorityFields(dependsOn, weight));
export const reset = (id, code) => frame(Type.RST_STREAM, 0, id, word(code));
export const settings = (...pairs) => frame(Type.SETTINGS, 0, 0, settingEntries(...pairs));
export const settingsAck = () => frame(Type.SETTINGS, Flag.ACK, 0);
export const ping = (payload, flags = 0) => frame(Type.PING, flags, 0, payload);
export const goAway = (last, code) => frame(Type.GOAWAY, 0, 0, Buffer.concat([word(last), word(code)]));
export const windowUpdate = (id, increment) => frame(Type.WINDOW_UPDATE, 0, id, word(increment));

/** The payload of SETTINGS: identifier and value in turn. */
export function settingEntries(...pairs) {
  const bytes = Buffer.alloc(pairs.length * 3);
  for (let i = 0; i < pairs.length; i += 2) {
    bytes.writeUInt16BE(pairs[i], i * 3);
    bytes.writeUInt32BE(pairs[i + 1], i * 3 + 2);
  }
  return bytes;
}

/** Fields as literals that are not indexed and not Huffman-coded (RFC 7541 section 6.2.2): `[name, value]` each. */
export function block(fields) {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), string(name), string(value)]));
}

function string(value) {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 0x7f) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [0x7f];
  let rest = bytes.length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) length.push(0x80 | (rest & 0x7f));
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

function word(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
