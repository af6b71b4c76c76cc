import { celError, type CelInput } from "@bufbuild/cel";

import { Budget } from "./budget.js";
import { meteredEnvironment } from "./environment.js";
import { compile, variableKey, type Program, type Scope } from "./program.js";
import { celValue } from "./values.js";

export type { Program, Scope } from "./program.js";

/** What expressions see, by name. */
export type Values = Parameters<Program["evaluate"]>[0];

/** CEL with one budget for all that is evaluated between two starts. */
export class Cel {
  readonly #budget = new Budget();
  readonly #environment = meteredEnvironment(this.#budget);

  /** Throws what is wrong with the expression, in a sentence. */
  compile(text: string, scope: Scope): Program {
    return compile(text, scope, this.#environment, this.#budget);
  }

  /** A new budget for a write that policies are about to look at; see MAX_COST_OF_WRITE. */
  startWrite(): void {
    this.#budget.startWrite();
  }

  /** A new budget for one policy; see MAX_COST. */
  start(): void {
    this.#budget.start();
  }

  /** Values of JSON, and of variables: those are evaluated when they are first read, once. */
  values(
    json: Readonly<Record<string, unknown>>,
    variables: readonly { readonly name: string; readonly program: Program }[],
  ): Values {
    const values = Object.create(null) as Record<string, CelInput>;
    for (const [name, value] of Object.entries(json)) values[name] = celValue(value);
    for (const { name, program } of variables) {
      let value: CelInput | undefined;
      const evaluate = (): CelInput => {
        try {
          return program.evaluate(values) as CelInput;
        } catch (thrown) {
          return celError(thrown) as unknown as CelInput;
        }
      };
      Object.defineProperty(values, variableKey(name), { get: () => (value ??= evaluate()) });
    }
    return values;
  }
}
