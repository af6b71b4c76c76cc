/** `host:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** A host as it stands before `:port`: IPv6 in brackets. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
