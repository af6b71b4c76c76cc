export { createDnsAnswerer, type DnsAnswerer, type DnsOptions, type DnsTransport } from "./answer.js";
export type { DnsDirectory, DnsInstance, DnsNode } from "./directory.js";
