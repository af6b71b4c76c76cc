import { isCelError, parse, plan, type CelInput } from "@bufbuild/cel";
import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";

import type { Budget } from "./budget.js";
import { LOOK, STEP, type meteredEnvironment } from "./environment.js";

/** A CEL expression that can be evaluated. */
export interface Program {
  /** Throws what is wrong, in a sentence; when it costs too much, too. */
  readonly evaluate: (values: Readonly<Record<string, CelInput>>) => unknown;
}

/** What an expression may name. */
export interface Scope {
  /** `object`, `request` … */
  readonly names: readonly string[];
  /** Of the policy, as `variables.NAME`. */
  readonly variables: readonly string[];
}

/** Under which name the value of `variables.NAME` is given: nobody can write it. */
export function variableKey(name: string): string {
  return `@variables.${name}`;
}

const TYPES: readonly string[] = [
  "bool",
  "bytes",
  "double",
  "google",
  "int",
  "list",
  "map",
  "null_type",
  "string",
  "type",
  "uint",
];

/** Compiles an expression. Throws what is wrong with it, in a sentence: syntax, names that nobody knows. */
export function compile(
  text: string,
  scope: Scope,
  environment: ReturnType<typeof meteredEnvironment>,
  budget: Budget,
): Program {
  const expr = parsed(text);
  const ready = new Preparation(scope, (name) => environment.funcs.find(name) !== undefined).expr(expr, []);
  const run = plan(environment, ready) as (values: Readonly<Record<string, CelInput>>) => unknown;
  return {
    evaluate: (values) => {
      const result = run(values);
      // An error may be lost in `true || error`: that the budget is spent is not.
      if (budget.exhausted) budget.spend(0);
      if (isCelError(result)) throw new Error(result.message);
      return result;
    },
  };
}

function parsed(text: string): Expr {
  try {
    return parse(text).expr;
  } catch (thrown) {
    // What overflows the parser's stack.
    throw thrown instanceof RangeError ? new Error("it is nested too deep") : thrown;
  }
}

/** Operators that are no functions of the environment. */
const OPERATORS: ReadonlySet<string> = new Set([
  "_[_]",
  "_?_:_",
  "_&&_",
  "_||_",
  "@not_strictly_false",
  "__not_strictly_false__",
]);

/** Looks for names that mean nothing, and makes every loop and every look into a value pay. */
class Preparation {
  readonly #scope: Scope;
  readonly #isFunction: (name: string) => boolean;

  constructor(scope: Scope, isFunction: (name: string) => boolean) {
    this.#scope = scope;
    this.#isFunction = isFunction;
  }

  /** `local`: names of loops around it. */
  expr(expr: Expr, local: readonly string[]): Expr {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case "identExpr":
        this.#checkName(exprKind.value.name, local);
        return expr;
      case "selectExpr": {
        const { operand, field, testOnly } = exprKind.value;
        if (operand === undefined) return expr;
        if (isIdent(operand, "variables") && !local.includes("variables")) {
          if (testOnly) throw new Error("has(variables.…) is not supported: every variable is there");
          if (!this.#scope.variables.includes(field))
            throw new Error(
              `undeclared reference to variables.${field}: a variable is seen after where it is written`,
            );
          return { ...expr, exprKind: identOf(variableKey(field)) };
        }
        return {
          ...expr,
          exprKind: { case: "selectExpr", value: { ...exprKind.value, operand: this.expr(operand, local) } },
        };
      }
      case "callExpr": {
        const { function: name, target, args } = exprKind.value;
        if (!OPERATORS.has(name) && !this.#isFunction(name)) throw new Error(`there is no function ${name}`);
        const ready = args.map((arg) => this.expr(arg, local));
        const [first, ...rest] = ready;
        const value = {
          ...exprKind.value,
          args: name === "_[_]" && first !== undefined ? [callOf(LOOK, first), ...rest] : ready,
        };
        if (target !== undefined) value.target = this.expr(target, local);
        return { ...expr, exprKind: { case: "callExpr", value } };
      }
      case "listExpr": {
        const elements = exprKind.value.elements.map((element) => this.expr(element, local));
        return { ...expr, exprKind: { case: "listExpr", value: { ...exprKind.value, elements } } };
      }
      case "structExpr": {
        if (exprKind.value.messageName !== "")
          throw new Error(`there is no type ${exprKind.value.messageName} that can be made`);
        const entries = exprKind.value.entries.map((entry) => {
          const { keyKind, value } = entry;
          return {
            ...entry,
            ...(keyKind.case === "mapKey"
              ? { keyKind: { case: keyKind.case, value: this.expr(keyKind.value, local) } }
              : {}),
            ...(value === undefined ? {} : { value: this.expr(value, local) }),
          };
        });
        return { ...expr, exprKind: { case: "structExpr", value: { ...exprKind.value, entries } } };
      }
      case "comprehensionExpr": {
        const { iterVar, accuVar, iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
        const inside = [...local, iterVar, accuVar];
        const value = { ...exprKind.value };
        if (iterRange !== undefined) value.iterRange = callOf(LOOK, this.expr(iterRange, local));
        if (accuInit !== undefined) value.accuInit = this.expr(accuInit, local);
        if (loopCondition !== undefined) value.loopCondition = callOf(STEP, this.expr(loopCondition, inside));
        if (loopStep !== undefined) value.loopStep = this.expr(loopStep, inside);
        if (result !== undefined) value.result = this.expr(result, inside);
        return { ...expr, exprKind: { case: "comprehensionExpr", value } };
      }
      default:
        return expr;
    }
  }

  #checkName(name: string, local: readonly string[]): void {
    const { names } = this.#scope;
    if (local.includes(name) || names.includes(name) || TYPES.includes(name)) return;
    throw new Error(`undeclared reference to ${name}: there are ${[...names, "variables"].join(", ")}`);
  }
}

function isIdent({ exprKind }: Expr, name: string): boolean {
  return exprKind.case === "identExpr" && exprKind.value.name === name;
}

function identOf(name: string): Expr["exprKind"] {
  return { case: "identExpr", value: { $typeName: "cel.expr.Expr.Ident", name } };
}

function callOf(name: string, arg: Expr): Expr {
  return {
    $typeName: "cel.expr.Expr",
    id: arg.id,
    exprKind: {
      case: "callExpr",
      value: { $typeName: "cel.expr.Expr.Call", function: name, args: [arg] },
    },
  };
}
