import type { Chains, Rule } from "./rules.js";

/** The table that holds all rules, and nothing else does: removing it leaves the machine as it was. */
export const TABLE = "inet tulle";

/** Takes the rules away. Works as well where there are none: adding a table that exists changes nothing. */
export function nftRemoval(): string {
  return `add table ${TABLE}\ndelete table ${TABLE}\n`;
}

/** The rules as a script for `nft -f`, which applies all of it or nothing, in place of what was there before. */
export function nftScript({ output, prerouting }: Chains): string {
  const chains = [
    chain("output", output),
    ...(prerouting.length > 0 ? [chain("prerouting", prerouting)] : []),
  ];
  return `${nftRemoval()}table ${TABLE} {\n${chains.join("")}}\n`;
}

function chain(hook: string, rules: readonly Rule[]): string {
  const lines = rules.map((rule) => `    ${line(rule)}\n`).join("");
  return `  chain ${hook} {\n    type nat hook ${hook} priority -100; policy accept;\n${lines}  }\n`;
}

function line(rule: Rule): string {
  const { user, group, network, ports = [], protocol } = rule;
  const words: string[] = [];
  if (user !== undefined) words.push(`meta skuid ${user}`);
  if (group !== undefined) words.push(`meta skgid ${group}`);
  if (rule.fromLoopback === true) words.push('iifname "lo"');
  if (rule.toThisMachine === true) words.push("fib daddr type { local, broadcast, multicast }");
  if (rule.toThisMachine === false) words.push("fib daddr type != local");
  if (network !== undefined) {
    words.push(
      `${network.family === 6 ? "ip6" : "ip"} ${network.end === "source" ? "saddr" : "daddr"} ${network.text}`,
    );
  }
  if (protocol !== undefined)
    words.push(ports.length > 0 ? `${protocol} dport ${set(ports)}` : `meta l4proto ${protocol}`);
  words.push(rule.redirectTo === undefined ? "return" : `redirect to :${rule.redirectTo}`);
  return words.join(" ");
}

function set(values: readonly string[]): string {
  return values.length === 1 ? (values[0] ?? "") : `{ ${values.join(", ")} }`;
}
