import type { RegistryCatalog } from "./catalog.js";
import type { CheckDefinition } from "./definition.js";
import type { CheckResult } from "./health-tracker.js";
import { serviceKey, type CheckState } from "./state.js";

/** Aliases of aliases that are followed. */
const MAX_FOLLOWED = 256;

/**
 * What an alias check says: the worst of the checks of its service and of its node, as in Consul. Aliases of aliases are followed to what
 * they stand for, each once: a circle of them is as healthy as what else is in it.
 */
export function aliasedHealth(
  catalog: Pick<RegistryCatalog, "node">,
  ownNode: string,
  alias: CheckDefinition,
): CheckResult {
  const followed = new Set([alias]);
  let count = 0;
  let worst: CheckResult | undefined;
  for (const check of followed) {
    if (followed.size > MAX_FOLLOWED)
      return { status: "critical", output: `over ${MAX_FOLLOWED} aliases stand behind it` };
    const found = checksBehind(catalog, ownNode, check);
    if (typeof found === "string") return { status: "critical", output: found };
    for (const { definition, status, output } of found) {
      if (definition.probe.kind === "alias") {
        followed.add(definition);
        continue;
      }
      count++;
      if (status === "passing" || (worst !== undefined && status !== "critical")) continue;
      worst = { status, output: `Aliased check "${definition.name}" failing: ${output}` };
      if (status === "critical") return worst;
    }
  }
  return worst ?? { status: "passing", output: count === 0 ? "No checks found." : "All checks passing." };
}

/** The checks that an alias stands for; a text says what is not there. */
function checksBehind(
  catalog: Pick<RegistryCatalog, "node">,
  ownNode: string,
  { probe, namespace }: CheckDefinition,
): readonly CheckState[] | string {
  if (probe.kind !== "alias") return [];
  const name = probe.node === "" ? ownNode : probe.node;
  const node = catalog.node(name);
  if (node === undefined) return `Node ${name} could not be found`;
  const service = node.services.get(serviceKey(namespace, probe.service));
  if (probe.service !== "" && service === undefined)
    return `Service ${probe.service} could not be found on node ${name}`;
  return [...node.checks.values(), ...(service?.checks.values() ?? [])];
}
