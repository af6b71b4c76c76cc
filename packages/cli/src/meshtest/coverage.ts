import type { Explanation, Owner } from "@tulle/engine";

import type { WrittenMeshObject } from "../offline/read-mesh.js";

/** A rule of an object, and whether any request came to it. */
export interface RuleCoverage {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** `http[0]` */
  readonly rule: string;
  /** `reviews.yaml:14` */
  readonly source: string;
  readonly reached: boolean;
}

/** Lists under `spec` whose items are rules: VirtualService's, Gateway API's and those of Consul's routers. */
const LISTS: readonly string[] = ["http", "tls", "tcp", "rules", "routes"];

/** Which rules of which objects requests took. */
export class Coverage {
  readonly #objects = new Map<string, WrittenMeshObject>();
  readonly #reached = new Set<string>();

  /** Counts these objects' rules. The same place counts once, however often it is read. */
  expect(objects: readonly WrittenMeshObject[]): void {
    for (const written of objects) {
      const { source, line } = written.at("metadata");
      this.#objects.set(`${source}:${line}`, written);
    }
  }

  /** Notes the rules that a request took. */
  note(explanation: Explanation): void {
    for (let hop: Explanation | undefined = explanation; hop !== undefined; hop = hop.next) {
      for (const { step, events } of hop.steps) {
        if (step !== "route" && step !== "split") continue;
        for (const { verdict, owner } of events) {
          if (owner !== undefined && verdict === "chosen") this.#reached.add(keyOf(owner));
        }
      }
    }
  }

  rules(): readonly RuleCoverage[] {
    return [...this.#objects.values()].flatMap((written) => this.#rulesOf(written));
  }

  #rulesOf({ object, at }: WrittenMeshObject): readonly RuleCoverage[] {
    const { kind, apiVersion, spec } = object;
    const { name, namespace } = object.metadata;
    if (typeof spec !== "object" || spec === null) return [];
    return LISTS.flatMap((list) => {
      const rules = (spec as Readonly<Record<string, unknown>>)[list];
      if (!Array.isArray(rules)) return [];
      return rules.map((_rule, index): RuleCoverage => {
        const rule = `${list}[${index}]`;
        const { source, line } = at(`spec.${rule}`);
        const reached = this.#reached.has(keyOf({ apiVersion, kind, namespace, name, rule }));
        return { kind, namespace, name, rule, source: `${source}:${line}`, reached };
      });
    });
  }
}

function keyOf({ apiVersion, kind, namespace, name, rule }: Owner): string {
  return [apiVersion, kind, namespace, name, rule].join(" ");
}
