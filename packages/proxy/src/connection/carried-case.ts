import { encodeHeaderCase, HEADER_CASE_FIELD, restoreHeaderCase, type HeaderList } from "@tulle/http";

/** Adds how the names in `headers` are spelt, for the other sidecar. As the last field: there it is looked for. */
export function addHeaderCase(headers: HeaderList): void {
  const spelling = encodeHeaderCase(headers);
  if (spelling !== "") headers.push(HEADER_CASE_FIELD, spelling);
}

/** `trailers` with how their names are spelt; the list itself may be sent again and is left alone. */
export function withHeaderCase(trailers: HeaderList): HeaderList {
  if (trailers.length === 0) return trailers;
  const out = [...trailers];
  addHeaderCase(out);
  return out;
}

/** Spells the names as the other sidecar got them and takes its field away. */
export function takeHeaderCase(headers: HeaderList): void {
  const last = headers.length - 2;
  if (last < 0 || headers[last] !== HEADER_CASE_FIELD) return;
  const spelling = headers.pop() as string;
  headers.pop();
  restoreHeaderCase(headers, spelling);
}
