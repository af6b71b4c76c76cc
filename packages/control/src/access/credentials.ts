/** What a request shows to prove who makes it. */
export interface Credentials {
  /** A token; undefined: none was shown. "" for one that cannot be read. */
  readonly token: string | undefined;
  /** Client certificate in DER; undefined: none. It has proved nothing yet. */
  readonly certificateDer: Buffer | undefined;
  /** Address that the request came from. */
  readonly remoteAddress: string;
}

const MAX_TOKEN_LENGTH = 16_384;

/**
 * The token of a request: `Authorization: Bearer …`, and on Consul's paths also `X-Consul-Token` and `?token=`, in
 * Consul's order of precedence. Two `Authorization` fields, another scheme or an empty token are a token that nobody has.
 */
export function tokenOf(url: URL, headers: Headers): string | undefined {
  const consul = url.pathname.startsWith("/v1/");
  const inQuery = consul ? url.searchParams.get("token") : null;
  if (inQuery !== null && inQuery !== "") return bounded(inQuery);
  const inHeader = consul ? headers.get("x-consul-token") : null;
  if (inHeader !== null && inHeader !== "") return bounded(inHeader);
  const authorization = headers.get("authorization");
  if (authorization === null) return undefined;
  return bounded(/^Bearer +([^\s,]+)$/i.exec(authorization)?.[1] ?? "");
}

function bounded(token: string): string {
  return token.length <= MAX_TOKEN_LENGTH ? token : "";
}
