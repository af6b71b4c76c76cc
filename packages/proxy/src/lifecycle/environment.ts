import { formatAddress } from "@tulle/base";

import { isSocketPath } from "../socket-path.js";

/** A listener that stands for an upstream. */
export interface UpstreamAddress {
  /** `reviews:9080`, `reviews.prod` */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Of its URL. Default `http`. */
  readonly scheme?: "http" | "tcp";
}

/**
 * Variables by which an application finds its upstreams: `REVIEWS_URL` and Kubernetes' `REVIEWS_SERVICE_HOST` and
 * `REVIEWS_SERVICE_PORT`. Two services of the same name in two namespaces: the second is called by all of its host,
 * `REVIEWS_PROD_URL`.
 * One on a Unix socket has a URL alone, `unix:///run/reviews.sock`, as gRPC writes it.
 */
export function upstreamEnvironment(upstreams: readonly UpstreamAddress[]): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { name, host, port, scheme = "http" } of upstreams) {
    const full = name.replace(/:\d+$/, "");
    const short = variableName(full.split(".")[0] ?? full);
    const prefix = `${short}_URL` in variables ? variableName(full) : short;
    if (isSocketPath(host)) {
      variables[`${prefix}_URL`] = `unix://${host}`;
      continue;
    }
    variables[`${prefix}_URL`] = `${scheme}://${formatAddress(host, port)}`;
    variables[`${prefix}_SERVICE_HOST`] = host;
    variables[`${prefix}_SERVICE_PORT`] = String(port);
  }
  return variables;
}

function variableName(text: string): string {
  return text.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
}
