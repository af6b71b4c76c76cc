import type { Cel, Program, Values } from "./cel/index.js";
import type { CompiledPolicy } from "./compiled-policy.js";

/** A validation that did not hold, or a policy that could not be evaluated. */
export interface Failure {
  readonly message: string;
  readonly reason: "Unauthorized" | "Forbidden" | "Invalid" | "RequestEntityTooLarge";
}

/** What expressions see, as JSON. */
export interface Seen {
  readonly object: unknown;
  readonly oldObject: unknown;
  readonly request: unknown;
  readonly namespaceObject: unknown;
  readonly params: unknown;
}

const MAX_MESSAGE = 4096;

/** What is wrong with a write by one policy: nothing when a condition of it does not hold. */
export function evaluatePolicy(policy: CompiledPolicy, seen: Seen, cel: Cel): readonly Failure[] {
  cel.start();
  const { failurePolicy = "Fail" } = policy.spec;
  const broken = (what: string, thrown: unknown): readonly Failure[] =>
    failurePolicy === "Ignore" ? [] : [{ message: `${what}: ${textOf(thrown)}`, reason: "Invalid" }];
  const values = cel.values({ ...seen }, policy.variables);
  const conditions = policy.conditions.map(({ name, program }) => ({ name, ...outcomeOf(program, values) }));
  // One that is false counts more than one that cannot be told.
  if (conditions.some(({ value, error }) => error === undefined && value !== true)) return [];
  const untold = conditions.find(({ error }) => error !== undefined);
  if (untold !== undefined) return broken(`the condition ${untold.name} cannot be evaluated`, untold.error);
  return policy.validations.flatMap(({ program, message }, index) => {
    const { expression, message: fixed, reason = "Invalid" } = policy.spec.validations[index]!;
    const { value, error } = outcomeOf(program, values);
    if (error === undefined && value === true) return [];
    const untold = error ?? (value === false ? undefined : "it is neither true nor false");
    if (untold !== undefined) return broken(`expression '${expression}' cannot be evaluated`, untold);
    const text =
      written(() => message?.evaluate(values)) ?? fixed ?? `failed expression: ${expression.trim()}`;
    return [{ message: text, reason }];
  });
}

interface Outcome {
  readonly value?: unknown;
  /** Why there is no value. */
  readonly error?: unknown;
}

function outcomeOf(program: Program, values: Values): Outcome {
  try {
    return { value: program.evaluate(values) };
  } catch (error) {
    return { error };
  }
}

/** A message that an expression makes; undefined where it makes none that can be shown, as in Kubernetes. */
function written(evaluate: () => unknown): string | undefined {
  try {
    const text = evaluate();
    if (typeof text !== "string" || text.trim() === "" || /[\r\n]/.test(text)) return undefined;
    return text.trim().slice(0, MAX_MESSAGE);
  } catch {
    return undefined;
  }
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
