import { existsSync } from "node:fs";

import { MeshError } from "@tulle/base";

import { iptablesRemoval, iptablesScript, ownLines, readSaved, type Present } from "./iptables-script.js";
import { nftRemoval, nftScript, TABLE } from "./nft-script.js";
import type { Chains } from "./rules.js";
import { refused, runTool } from "./run-tool.js";

/** Tools that can put rules into the kernel, the better one first. */
export const BACKENDS = ["nft", "iptables"] as const;

export type BackendName = (typeof BACKENDS)[number];

/** A tool that puts rules into the kernel. Its calls reject with `denied` CLI_RULES_REFUSED and what the tool said. */
export interface Backend {
  /** Whether it can be had on this machine. */
  installed(): Promise<boolean>;
  /** What `up` does on a machine without rules, as text. */
  print(chains: Chains): string;
  /** Puts rules in the place of former ones. */
  up(chains: Chains): Promise<void>;
  /** What `down` would run; "" = nothing. */
  removal(): Promise<string>;
  /** Takes the rules away; does nothing where there are none. */
  down(): Promise<void>;
  /** The rules in force; "" = none. */
  show(): Promise<string>;
}

const nft: Backend = {
  installed: async () => (await runTool("nft", ["--version"])) !== undefined,
  print: nftScript,
  up: (chains) => nftRun(nftScript(chains)),
  removal: async () => nftRemoval(),
  down: () => nftRun(nftRemoval()),
  show: async () => {
    const result = await runTool("nft", ["list", "table", ...TABLE.split(" ")]);
    if (result === undefined || result.error.includes("No such file")) return "";
    if (result.code !== 0) throw refused("nft", result.error);
    return result.output;
  },
};

async function nftRun(script: string): Promise<void> {
  const result = await runTool("nft", ["-f", "-"], script);
  if (result?.code !== 0) throw refused("nft", result?.error ?? "it is gone");
}

const NOTHING: Present = { has: () => false };

const iptables: Backend = {
  installed: async () => (await runTool("iptables-restore", ["--version"])) !== undefined,
  print: (chains) =>
    families()
      .map(({ family, restore }) => `# ${restore} --noflush\n${iptablesScript(chains, family, NOTHING)}`)
      .join(""),
  up: async (chains) => {
    try {
      for (const { family, save, restore } of families()) {
        await iptablesRestore(restore, iptablesScript(chains, family, readSaved(await iptablesSaved(save))));
      }
    } catch (thrown) {
      // Rules for one family alone are nobody's wish.
      await iptablesDown().catch(() => undefined);
      throw thrown;
    }
  },
  removal: async () =>
    (await iptablesRemovals()).map(({ restore, script }) => `# ${restore} --noflush\n${script}`).join(""),
  down: iptablesDown,
  show: async () => {
    const saved = await Promise.all(families().map(({ save }) => iptablesSaved(save)));
    return saved
      .flatMap(ownLines)
      .map((line) => `${line}\n`)
      .join("");
  },
};

async function iptablesDown(): Promise<void> {
  for (const { restore, script } of await iptablesRemovals()) await iptablesRestore(restore, script);
}

async function iptablesRemovals(): Promise<readonly { readonly restore: string; readonly script: string }[]> {
  const all = families().map(async ({ save, restore }) => {
    return { restore, script: iptablesRemoval(readSaved(await iptablesSaved(save))) };
  });
  return (await Promise.all(all)).filter(({ script }) => script !== "");
}

/** A kernel without IPv6 has no table for it, and nothing to redirect. */
function families() {
  const v4 = { family: 4, save: "iptables-save", restore: "iptables-restore" } as const;
  const v6 = { family: 6, save: "ip6tables-save", restore: "ip6tables-restore" } as const;
  return existsSync("/proc/net/if_inet6") ? [v4, v6] : [v4];
}

async function iptablesSaved(program: string): Promise<string> {
  const result = await runTool(program, ["-t", "nat"]);
  // A kernel without that table holds no rules.
  if (result !== undefined && /does not exist/i.test(result.error)) return "";
  if (result?.code !== 0) throw refused(program, result?.error ?? "it is gone");
  return result.output;
}

async function iptablesRestore(program: string, script: string): Promise<void> {
  const result = await runTool(program, ["--noflush", "--wait"], script);
  if (result?.code !== 0) throw refused(program, result?.error ?? "it is gone");
}

const BY_NAME: Readonly<Record<BackendName, Backend>> = { nft, iptables };

/** A backend by name. */
export function backendNamed(name: BackendName): Backend {
  return BY_NAME[name];
}

/** The backends that this machine has. Rejects with `unavailable` CLI_NO_NFT when it has none. */
export async function installedBackends(): Promise<readonly [Backend, ...Backend[]]> {
  const found: Backend[] = [];
  for (const name of BACKENDS) if (await BY_NAME[name].installed()) found.push(BY_NAME[name]);
  const [first, ...others] = found;
  if (first !== undefined) return [first, ...others];
  throw new MeshError(
    "unavailable",
    "CLI_NO_NFT",
    "neither nft nor iptables was found: install nftables (Linux), or print the rules with --dry-run",
  );
}
