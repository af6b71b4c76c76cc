import { isIPv6 } from "node:net";

/** What is redirected to a sidecar, and what not. */
export interface InterceptionRules {
  /** Port of the sidecar's outbound listener on 127.0.0.1 and ::1. */
  readonly outboundPort: number;
  /** Port of the sidecar's DNS there; undefined: DNS goes where it always went. */
  readonly dnsPort: number | undefined;
  /** Users (names or ids) that the sidecar and others run as whose connections are left alone; at least the sidecar's. */
  readonly excludeUsers: readonly string[];
  /** Groups likewise. */
  readonly excludeGroups: readonly string[];
  /** Destinations of outgoing connections. */
  readonly outbound: Selection;
  /** Connections from other machines; undefined: none is redirected. */
  readonly inbound: (Selection & { readonly port: number }) | undefined;
}

/** Which connections of a direction. Where a list of what to include is empty, all are. */
export interface Selection {
  /** Destination ports, `80` or `8000-8100`. */
  readonly includePorts: readonly string[];
  readonly excludePorts: readonly string[];
  /** The other ends' networks, `10.0.0.0/8` or `fd00::/8`. */
  readonly includeNetworks: readonly string[];
  readonly excludeNetworks: readonly string[];
}

/** One step of a chain: what all its conditions hold for is redirected or left alone; all else goes on to the next. */
export interface Rule {
  readonly user?: string;
  readonly group?: string;
  /** It comes by the loopback interface. */
  readonly fromLoopback?: true;
  /** Its destination is this machine (or everybody on the network), or it is not. */
  readonly toThisMachine?: boolean;
  readonly network?: {
    readonly end: "source" | "destination";
    readonly family: 4 | 6;
    readonly text: string;
  };
  /** Destination ports; empty: any. */
  readonly ports?: readonly string[];
  readonly protocol?: "tcp" | "udp";
  /** The port on this machine that it goes to instead; undefined: it is left alone. */
  readonly redirectTo?: number;
}

/** The rules of each direction in the order in which they are asked. */
export interface Chains {
  /** For what leaves processes of this machine. */
  readonly output: readonly Rule[];
  /** For what arrives from other machines. */
  readonly prerouting: readonly Rule[];
}

/**
 * Compiles rules into chains, for whatever tool writes them.
 *
 * No loop is possible: the sidecar's own connections leave by the first rules, what goes to the machine itself (the
 * sidecar's listeners among it) is never redirected on its way out, DNS excepted, and what arrives by loopback never.
 */
export function chainsOf(rules: InterceptionRules): Chains {
  return { output: outputOf(rules), prerouting: preroutingOf(rules) };
}

function outputOf(rules: InterceptionRules): readonly Rule[] {
  const { dnsPort, outboundPort, outbound } = rules;
  return [
    ...rules.excludeUsers.map((user) => ({ user })),
    ...rules.excludeGroups.map((group) => ({ group })),
    // Wherever it goes, to resolvers on this machine (127.0.0.53), too.
    ...(dnsPort === undefined
      ? []
      : (["udp", "tcp"] as const).map((protocol) => ({ protocol, ports: ["53"], redirectTo: dnsPort }))),
    { toThisMachine: true },
    ...selected(outbound, "destination", outboundPort),
  ];
}

function preroutingOf({ inbound }: InterceptionRules): readonly Rule[] {
  if (inbound === undefined) return [];
  return [
    { fromLoopback: true },
    // What this machine only passes on.
    { toThisMachine: false },
    // Other sidecars call this one at its own port.
    { protocol: "tcp", ports: [String(inbound.port)] },
    ...selected(inbound, "source", inbound.port),
  ];
}

function selected(selection: Selection, end: "source" | "destination", redirectTo: number): readonly Rule[] {
  const ports = selection.includePorts;
  const redirect: Rule = { protocol: "tcp", ports, redirectTo };
  return [
    ...selection.excludeNetworks.map((text) => ({ network: network(end, text) })),
    ...(selection.excludePorts.length === 0
      ? []
      : [{ protocol: "tcp" as const, ports: selection.excludePorts }]),
    ...(selection.includeNetworks.length === 0
      ? [redirect]
      : selection.includeNetworks.map((text) => ({ ...redirect, network: network(end, text) }))),
  ];
}

function network(end: "source" | "destination", text: string): NonNullable<Rule["network"]> {
  return { end, family: isIPv6(text.split("/")[0] ?? "") ? 6 : 4, text };
}
