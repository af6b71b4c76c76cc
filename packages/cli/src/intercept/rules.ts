/** What is redirected, and what not. */
export interface InterceptionRules {
  /** Port of the sidecar's outbound listener on 127.0.0.1. */
  readonly outboundPort: number;
  /** Port of the sidecar's DNS on 127.0.0.1; undefined: DNS goes where it always went. */
  readonly dnsPort: number | undefined;
  /** Users (names or ids) that the sidecar and others run as whose connections are left alone; at least the sidecar's. */
  readonly excludeUsers: readonly string[];
  /** Groups likewise. */
  readonly excludeGroups: readonly string[];
  /** Destination ports, `80` or `8000-8100`. Empty `includePorts`: all. */
  readonly includePorts: readonly string[];
  readonly excludePorts: readonly string[];
  /** Destination networks, `10.0.0.0/8`. Empty `includeNetworks`: all. */
  readonly includeNetworks: readonly string[];
  readonly excludeNetworks: readonly string[];
}

/** The table that holds all rules, and nothing else does: removing it leaves the machine as it was. */
export const TABLE = "ip tulle";

/** Takes the rules away. Works as well where there are none: adding a table that exists changes nothing. */
export function removalScript(): string {
  return `add table ${TABLE}\ndelete table ${TABLE}\n`;
}

/**
 * The rules as a script for `nft -f`, which applies all of it or nothing, in place of what was there before.
 *
 * No loop is possible: the sidecar's own connections leave by the first rules, and what goes to the machine itself (the
 * sidecar's listeners among it) is never redirected, DNS excepted.
 */
export function setupScript(rules: InterceptionRules): string {
  const lines = [
    ...rules.excludeUsers.map((user) => `meta skuid ${user} return`),
    ...rules.excludeGroups.map((group) => `meta skgid ${group} return`),
    ...dnsLines(rules.dnsPort),
    "fib daddr type { local, broadcast, multicast } return",
    ...matching("ip daddr", rules.excludeNetworks, "return"),
    ...matching("tcp dport", rules.excludePorts, "return"),
    [
      ...condition("ip daddr", rules.includeNetworks),
      ...condition("tcp dport", rules.includePorts),
      "meta l4proto tcp",
      `redirect to :${rules.outboundPort}`,
    ].join(" "),
  ];
  return `${removalScript()}table ${TABLE} {
  chain output {
    type nat hook output priority -100; policy accept;
${lines.map((line) => `    ${line}\n`).join("")}  }
}
`;
}

/** DNS is redirected wherever it goes, to resolvers on this machine (127.0.0.53), too. */
function dnsLines(port: number | undefined): readonly string[] {
  if (port === undefined) return [];
  return [`udp dport 53 redirect to :${port}`, `tcp dport 53 redirect to :${port}`];
}

function matching(field: string, values: readonly string[], verdict: string): readonly string[] {
  return condition(field, values).map((match) => `${match} ${verdict}`);
}

function condition(field: string, values: readonly string[]): readonly string[] {
  return values.length === 0 ? [] : [`${field} { ${values.join(", ")} }`];
}
