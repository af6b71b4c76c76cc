import type { EffectivePolicyReport, EffectiveRule } from "@tulle/api";

import { renderYaml } from "../output/format.js";
import { terminalText } from "../output/terminal-text.js";

/** What holds for calls to a service, in prose: who says what, in the order in which it counts. */
export async function describeService(report: EffectivePolicyReport): Promise<string> {
  const parts = [
    head(report),
    routesText(report),
    await trafficText(report),
    await settingsText(report),
    `Its own sidecars accept ${acceptance(report.accepts.mode)}${by(report.accepts.owner)}.\n`,
    ...report.warnings.map((warning) => `Warning: ${warning}\n`),
  ];
  return terminalText(parts.filter((part) => part !== "").join("\n"), { lines: true });
}

function head(report: EffectivePolicyReport): string {
  const { host, source, hiddenBy, ports, instances, virtualIp, client, sidecar } = report;
  const labels = Object.entries(client.labels).map(([key, value]) => `${key}=${value}`);
  const who = `clients of the namespace ${client.namespace}${labels.length === 0 ? "" : ` labelled ${labels.join(", ")}`}`;
  const lines = [`${host}, as ${who} see it.`];
  if (source === undefined) {
    lines.push("No service of that name is known.");
    return `${lines.join("\n")}\n`;
  }
  const from = source === "registry" ? "It is registered" : `It comes from ${source}`;
  const address = virtualIp === undefined ? "" : `, with the virtual IP ${virtualIp}`;
  lines.push(`${from}, with ${instances.serving} of ${instances.total} instances serving${address}.`);
  const named = ports.map(
    ({ number, protocol }) => `${number} (${protocol === "auto" ? "found out" : protocol})`,
  );
  lines.push(named.length === 0 ? "It has no ports." : `Ports: ${named.join(", ")}.`);
  if (hiddenBy !== undefined) lines.push(`They cannot call it: ${hiddenBy} does not list it.`);
  else if (sidecar !== undefined) lines.push(`${sidecar} says what they may call; this is among it.`);
  return `${lines.join("\n")}\n`;
}

function routesText({ routes, source }: EffectivePolicyReport): string {
  if (routes === undefined) {
    return source === undefined ? "" : "No VirtualService holds for it: every request goes to the service.\n";
  }
  const lines = [`Routes, by ${routes.owner}; the first that matches is taken:`];
  routes.rules.forEach((rule, index) => lines.push(...ruleLines(rule, index, routes.owner)));
  if (routes.rules.length === 0) lines.push("  none that can hold for these clients");
  for (const other of routes.ignored) lines.push(`  ${other} is for the host too, and does not hold.`);
  return `${lines.join("\n")}\n`;
}

function ruleLines({ field, owner, name, when, does }: EffectiveRule, index: number, root: string): string[] {
  const label = [field, name, owner === root ? undefined : `of ${owner}`].filter(
    (part) => part !== undefined,
  );
  const condition = when.length === 0 ? "always" : `when ${when.join("; or ")}`;
  return [`  ${index + 1}. ${label.join(" ")}: ${condition}`, ...does.map((text) => `       ${text}`)];
}

async function trafficText({ traffic, source }: EffectivePolicyReport): Promise<string> {
  if (traffic === undefined) {
    return source === undefined ? "" : "No DestinationRule holds for it: the mesh's defaults do.\n";
  }
  const lines = [`Traffic policy, by ${traffic.owners.join(", then ")}:`];
  if (traffic.trafficPolicy === undefined) lines.push("  the mesh's defaults");
  else lines.push(...indented(await renderYaml(traffic.trafficPolicy)));
  for (const { name, owner, labels, instances, trafficPolicy } of traffic.subsets) {
    const text = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const which = text.length === 0 ? "every instance" : text.join(", ");
    lines.push(`  Subset ${name} (${owner}): ${which}; ${instances} serving`);
    if (trafficPolicy !== undefined) {
      lines.push(...indented(await renderYaml(trafficPolicy)).map((line) => `  ${line}`));
    }
  }
  return `${lines.join("\n")}\n`;
}

async function settingsText({ settings = [], ports }: EffectivePolicyReport): Promise<string> {
  const lines: string[] = [];
  for (const { setting, owner, ports: own, value } of settings) {
    const where = own.length === ports.length ? "" : ` for port ${own.join(", ")}`;
    lines.push(`By ${owner}${where}:`, ...indented(await renderYaml({ [setting]: value })));
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function indented(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => `  ${line}`);
}

function acceptance(mode: string): string {
  if (mode === "STRICT") return "mutual TLS only (STRICT)";
  return mode === "DISABLE" ? "plaintext only (DISABLE)" : "mutual TLS and plaintext (PERMISSIVE)";
}

function by(owner: string | undefined): string {
  return owner === undefined ? ", as nothing says otherwise" : `, by ${owner}`;
}
