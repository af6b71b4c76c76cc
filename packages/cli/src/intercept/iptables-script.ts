import type { Chains, Rule } from "./rules.js";

/** Our chains in the table `nat`, each with the one that leads to it. Nothing else is ours. */
const CHAINS = [
  { name: "TULLE_OUTPUT", from: "OUTPUT", of: "output" },
  { name: "TULLE_PREROUTING", from: "PREROUTING", of: "prerouting" },
] as const;

/** Ports that one rule of iptables can have; a range counts twice. */
const MAX_MULTIPORT = 15;

/** How much of a former setup is there, as `iptables-save -t nat` lists it. */
export interface Present {
  has(line: string): boolean;
}

/** Reads what `iptables-save -t nat` prints. */
export function readSaved(text: string): Present {
  const lines = new Set(
    text.split("\n").map((line) => (line.startsWith(":") ? (line.split(" ")[0] ?? "") : line.trimEnd())),
  );
  return { has: (line) => lines.has(line) };
}

/**
 * The rules of one family as input of `iptables-restore --noflush`, which applies all of it or nothing. Declaring a
 * chain empties it, so that a second run changes nothing.
 */
export function iptablesScript(chains: Chains, family: 4 | 6, present: Present): string {
  return script([
    ...CHAINS.map(({ name }) => `:${name} - [0:0]`),
    ...CHAINS.map(({ name, from }) => jump(from, name)).filter((line) => !present.has(line)),
    ...CHAINS.flatMap(({ name, of }) =>
      chains[of].flatMap((rule) => linesOf(rule, family).map((words) => `-A ${name} ${words}`)),
    ),
  ]);
}

/** Takes away what is there of ours; "" when nothing is. */
export function iptablesRemoval(present: Present): string {
  const lines: string[] = [];
  for (const { name, from } of CHAINS) {
    if (present.has(jump(from, name))) lines.push(jump(from, name).replace("-A", "-D"));
    if (present.has(`:${name}`)) lines.push(`-F ${name}`, `-X ${name}`);
  }
  return lines.length === 0 ? "" : script(lines);
}

/** The lines that are ours of what `iptables-save -t nat` prints. */
export function ownLines(saved: string): readonly string[] {
  return saved.split("\n").filter((line) => CHAINS.some(({ name }) => line.includes(name)));
}

function script(lines: readonly string[]): string {
  return `*nat\n${lines.join("\n")}\nCOMMIT\n`;
}

function jump(from: string, name: string): string {
  return `-A ${from} -j ${name}`;
}

function linesOf(rule: Rule, family: 4 | 6): readonly string[] {
  const { user, group, network, ports = [], protocol } = rule;
  if (network !== undefined && network.family !== family) return [];
  const words: string[] = [];
  if (rule.fromLoopback === true) words.push("-i lo");
  if (network !== undefined) words.push(`${network.end === "source" ? "-s" : "-d"} ${network.text}`);
  if (protocol !== undefined) words.push(`-p ${protocol}`);
  if (user !== undefined) words.push(`-m owner --uid-owner ${user}`);
  if (group !== undefined) words.push(`-m owner --gid-owner ${group}`);
  if (rule.toThisMachine === false) words.push("-m addrtype ! --dst-type LOCAL");
  const target = rule.redirectTo === undefined ? "-j RETURN" : `-j REDIRECT --to-ports ${rule.redirectTo}`;
  // One type a rule: a list would mean that an address is all of them.
  const everybody = family === 6 ? ["MULTICAST"] : ["BROADCAST", "MULTICAST"];
  const types = rule.toThisMachine === true ? ["LOCAL", ...everybody] : [undefined];
  return types.flatMap((type) =>
    groupsOf(ports).map((group) =>
      [
        ...words,
        ...(type === undefined ? [] : [`-m addrtype --dst-type ${type}`]),
        ...(group.length === 0 ? [] : [`-m multiport --dports ${group.join(",")}`]),
        target,
      ].join(" "),
    ),
  );
}

/** Ports in iptables' spelling, as many a group as one rule takes. No ports: one group without any. */
function groupsOf(ports: readonly string[]): readonly (readonly string[])[] {
  const groups: string[][] = [[]];
  let size = 0;
  for (const port of ports) {
    const slots = port.includes("-") ? 2 : 1;
    if (size + slots > MAX_MULTIPORT) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(port.replace("-", ":"));
    size += slots;
  }
  return groups;
}
