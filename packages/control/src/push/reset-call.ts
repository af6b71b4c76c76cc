import { constants } from "node:http2";

/**
 * Resets the HTTP/2 stream beneath a server call, dropping what is not sent yet; the client sees RESOURCE_EXHAUSTED.
 * Returns false when the stream cannot be found: grpc-js offers a server no way to cut a call, so this walks its
 * objects (`call.call`, then `nextCall` through interceptors, to the one that holds `stream`).
 */
export function resetCall(call: object): boolean {
  let layer: unknown = property(call, "call");
  for (let depth = 0; depth < 8 && layer !== undefined; depth++) {
    const stream = property(layer, "stream");
    if (isClosable(stream)) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return true;
    }
    layer = property(layer, "nextCall");
  }
  return false;
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function isClosable(value: unknown): value is { close(code: number): void } {
  return typeof property(value, "close") === "function";
}
