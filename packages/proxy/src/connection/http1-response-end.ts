import type { HeaderList, RequestHead } from "@tulle/http";

/** How a client of HTTP/1 learns that a response is complete; `head`: its head says so. */
export type ResponseEnd = "head" | "chunked" | "close";

/** Adds to a response's head what its end is known by (RFC 9112 section 6.3). `contentLength` -1: nobody knows it. */
export function tellEnd(
  headers: HeaderList,
  request: RequestHead | undefined,
  status: number,
  hasBody: boolean,
  contentLength: number,
): ResponseEnd {
  if (contentLength >= 0) return "head";
  if (hasBody) {
    // HTTP/1.0 has no chunks.
    if (request?.minorVersion === 0) return "close";
    headers.push("transfer-encoding", "chunked");
    return "chunked";
  }
  // An upstream with HTTP/2 ends an empty response without saying how long it is; here that would mean "until close".
  if (mayHaveBody(request?.method, status)) headers.push("content-length", "0");
  return "head";
}

/** Whether a response has a body unless it says otherwise. */
function mayHaveBody(method: string | undefined, status: number): boolean {
  return method !== "HEAD" && status >= 200 && status !== 204 && status !== 304;
}
