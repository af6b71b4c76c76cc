import type { ListenAddress } from "./options.js";

/** Whether a host is a Unix socket: an absolute path, or an abstract name with `@` (Envoy's `pipe`). Its port is 0. */
export function isSocketPath(host: string): boolean {
  return host.startsWith("/") || host.startsWith("@");
}

/** How `net.connect` is told of an address. */
export function connectOptions({ host, port }: ListenAddress): ListenAddress | { readonly path: string } {
  return isSocketPath(host) ? { path: host.replace(/^@/, "\0") } : { host, port };
}

/** An address in Envoy's JSON. */
export function addressJson({ host, port }: ListenAddress): object {
  return isSocketPath(host)
    ? { pipe: { path: host } }
    : { socket_address: { address: host, port_value: port } };
}
