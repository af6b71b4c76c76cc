import type { DetectedChain, HttpChain, ServerNameChain, TcpChain } from "./contract.js";
import type { Chain } from "./chain.js";
import { at, invalid } from "./invalid.js";
import type { FilterChainSettings } from "./listener-settings.js";
import type { BytesChain } from "./tcp-settings.js";

/** What a chain of a listener without an address takes. */
export type Taking = "http" | "tls" | "rest";

/**
 * Says what each chain of an outbound listener takes, in order. Throws for what the first bytes of a connection cannot be
 * told apart by here, and without exactly one chain for the rest.
 */
export function compileTaking(chains: readonly FilterChainSettings[]): readonly Taking[] {
  const taking = chains.map(takingOf);
  if (taking.filter((one) => one === "rest").length !== 1) {
    throw invalid(
      "filter_chains",
      "an outbound listener needs one tcp_proxy that takes what the others do not",
    );
  }
  if (taking.filter((one) => one === "http").length > 1) {
    throw invalid("filter_chains", "an outbound listener may have one chain for plaintext HTTP");
  }
  return taking;
}

function takingOf({
  field,
  transport,
  wantedTransport,
  serverNames,
  applicationProtocols,
  destinationPort,
  behaviour,
}: FilterChainSettings): Taking {
  if (destinationPort !== undefined) {
    throw invalid(
      at(field, "filter_chain_match.destination_port"),
      "is supported for inbound listeners only",
    );
  }
  if (transport !== "plaintext") throw invalid(at(field, "transport_socket"), "must not end TLS");
  if ("http" in behaviour) {
    if (applicationProtocols.length === 0 || wantedTransport === "tls" || serverNames.length > 0) {
      throw invalid(
        at(field, "filter_chain_match"),
        'of HTTP must be application_protocols ["http/1.1", "h2c"] in plaintext',
      );
    }
    return "http";
  }
  if (applicationProtocols.length > 0) {
    throw invalid(at(field, "filter_chain_match.application_protocols"), "is supported for HTTP only");
  }
  return serverNames.length > 0 || wantedTransport === "tls" ? "tls" : "rest";
}

/** One object for as long as neither its settings nor its warmth change. */
export class CompiledDetectedChain implements DetectedChain {
  readonly protocol = "detected";
  readonly name: string;
  readonly warm: boolean;
  readonly silenceMs: number;
  readonly http: HttpChain | undefined;
  readonly tls: readonly ServerNameChain[];
  readonly tcp: TcpChain;

  /** `chains` are as `settings` and `taking` say, in their order. */
  constructor(
    name: string,
    silenceMs: number,
    settings: readonly FilterChainSettings[],
    taking: readonly Taking[],
    chains: readonly (Chain | BytesChain)[],
  ) {
    this.name = name;
    this.silenceMs = silenceMs;
    this.warm = chains.every((chain) => chain.warm);
    const of = (kind: Taking): number => taking.indexOf(kind);
    const http = chains[of("http")];
    this.http = http?.protocol === "http" ? http : undefined;
    this.tcp = chains[of("rest")] as BytesChain;
    this.tls = settings.flatMap(({ serverNames }, index) => {
      const tcp = chains[index];
      return taking[index] === "tls" && tcp?.protocol === "tcp" ? [{ serverNames, tcp }] : [];
    });
  }
}
