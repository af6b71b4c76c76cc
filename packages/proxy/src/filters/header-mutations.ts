import { applyHeaders, type FormatSource, type HeaderMutation } from "@tulle/engine";
import type { HeaderList } from "@tulle/http";

/**
 * Applies a route's mutations to `headers`, in order. Framing fields are not theirs to change and stay as they are.
 * `source`: the exchange, of which values may tell.
 */
export function applyHeaderMutations(
  headers: HeaderList,
  mutations: readonly HeaderMutation[],
  source?: FormatSource,
): void {
  if (mutations.length === 0) return;
  const safe = mutations.some(isFraming) ? mutations.filter((mutation) => !isFraming(mutation)) : mutations;
  applyHeaders(headers, safe, source);
}

function isFraming({ name }: HeaderMutation): boolean {
  return name === "content-length" || name === "transfer-encoding" || name === "connection";
}
