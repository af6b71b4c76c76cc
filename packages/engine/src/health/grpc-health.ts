/** `HealthCheckResponse.ServingStatus` of grpc.health.v1. */
export const ServingStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

const SERVICE_TAG = 0x0a;
const STATUS_FIELD = 1;

/** A `HealthCheckRequest`: the name of a service in field 1, nothing for the server as a whole. */
export function encodeHealthRequest(service: Uint8Array): Uint8Array {
  if (service.length === 0) return new Uint8Array();
  return Uint8Array.from([SERVICE_TAG, ...varint(service.length), ...service]);
}

/**
 * The status in a `HealthCheckResponse`, the last one when there are several; UNKNOWN without any. Undefined when the
 * bytes are no message. Two fields of protobuf's are all there is to read, which saves the library on this path.
 */
export function readServingStatus(message: Uint8Array): number | undefined {
  let status: number = ServingStatus.UNKNOWN;
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    if (tag === undefined || tag.value >>> 3 === 0) return undefined;
    const next = skip(message, tag.next, tag.value & 7);
    if (next === undefined) return undefined;
    if (tag.value >>> 3 === STATUS_FIELD && (tag.value & 7) === 0)
      status = readVarint(message, tag.next)!.value;
    at = next;
  }
  return status;
}

/** Where a field's value ends; undefined when it does not. */
function skip(bytes: Uint8Array, at: number, wireType: number): number | undefined {
  switch (wireType) {
    case 0:
      return readVarint(bytes, at)?.next;
    case 1:
      return within(bytes, at + 8);
    case 2: {
      const length = readVarint(bytes, at);
      return length === undefined ? undefined : within(bytes, length.next + length.value);
    }
    case 5:
      return within(bytes, at + 4);
    default:
      return undefined;
  }
}

function within(bytes: Uint8Array, end: number): number | undefined {
  return end <= bytes.length ? end : undefined;
}

/** At most 10 bytes, of which the low 32 bits count. */
function readVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly next: number } | undefined {
  let value = 0;
  for (let index = 0; index < 10; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    if (index < 5) value = (value | ((byte & 0x7f) << (7 * index))) >>> 0;
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  return undefined;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = rest >>> 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}
