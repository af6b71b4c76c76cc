import type { MeshObject, Violation } from "@tulle/api";

import { Cel } from "./cel/index.js";
import { compilePolicy, type CompiledPolicy } from "./compiled-policy.js";
import { evaluatePolicy, type Failure, type Seen } from "./evaluate-policy.js";

/** A policy that can be evaluated, or why it cannot. */
export type Compiled = CompiledPolicy | { readonly violations: readonly Violation[] };

/** Whatever needs CEL: imported when there is a policy. */
export class PolicyEngine {
  readonly #cel = new Cel();

  compile(policy: MeshObject): Compiled {
    return compilePolicy(policy, this.#cel);
  }

  /** What is evaluated from here on is for one write. */
  startWrite(): void {
    this.#cel.startWrite();
  }

  evaluate(policy: CompiledPolicy, seen: Seen): readonly Failure[] {
    return evaluatePolicy(policy, seen, this.#cel);
  }
}
