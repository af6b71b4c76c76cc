import {
  celEnv,
  celFunc,
  celList,
  celMethod,
  CelScalar,
  isCelError,
  isCelList,
  type CelFunc,
} from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";

import { Expressions } from "./expressions.js";
import { lengthOf, type Budget } from "./budget.js";

/** Loops ask it whether they may go on; the name is none that anybody can write. */
export const STEP = "@step";
/** Passes a value on that is about to be looked into. */
export const LOOK = "@look";

type Environment = ReturnType<typeof celEnv>;
type CelValue = Parameters<CelFunc["call"]>[2][number];

/** CEL's functions and its extension for strings, each of which pays for what it does. */
export function meteredEnvironment(budget: Budget): Environment {
  const plain = celEnv({ funcs: strings });
  const { DYN, BOOL, STRING } = CelScalar;
  const expressions = new Expressions(budget);
  return celEnv({
    funcs: [
      ...[...plain.funcs].filter(({ name }) => name !== "matches").map((func) => metered(func, budget)),
      celFunc(STEP, [BOOL], BOOL, (goOn) => {
        budget.spend(1);
        return goOn;
      }),
      celMethod("matches", STRING, [STRING], BOOL, function (pattern) {
        return expressions.matches(this, pattern);
      }),
      celFunc(LOOK, [DYN], DYN, (value) => {
        budget.spendShallow(value);
        return value;
      }),
    ],
  });
}

function metered(func: CelFunc, budget: Budget): CelFunc {
  const run = (target: CelValue | undefined, args: CelValue[]): CelValue => {
    pay(func.name, target === undefined ? args : [target, ...args], budget);
    const [left, right] = args;
    // The library's own sum is a list of lists, which takes a call for each of them.
    if (func.name === "_+_" && isCelList(left) && isCelList(right)) return celList([...left, ...right]);
    const result = func.call(0, target, args);
    if (result === undefined || isCelError(result)) throw result ?? new Error(`${func.name} does not fit`);
    budget.spendShallow(result);
    return result;
  };
  const { name, arguments: parameters, result, target } = func;
  if (target === undefined)
    return celFunc(name, parameters, result, (...args) => run(undefined, args as never) as never);
  return celMethod(name, target, parameters, result, function (...args) {
    return run(this, args as never);
  });
}

/** Before a call is made: what it looks at, and what it will make of it. */
function pay(name: string, values: readonly unknown[], budget: Budget): void {
  for (const value of values) budget.spendShallow(value);
  const [first = 0, second = 0, third = 0] = values.map(lengthOf);
  switch (name) {
    case "_==_":
    case "_!=_":
    case "@in":
    case "_in_":
    case "in":
    case "format":
    case "strings.quote":
      for (const value of values) budget.spendDeep(value);
      return;
    case "_+_":
      if (isCelList(values[0])) budget.spendList(first + second);
      else budget.spendText(first + second);
      return;
    case "join":
      budget.spendDeep(values[0]);
      budget.spendText(isCelList(values[0]) ? joined(values[0], second) : 0);
      return;
    case "replace":
      budget.spendText(first + (first / Math.max(1, second) + 1) * third);
      return;
    case "split":
      budget.spendList(first / Math.max(1, second) + 1);
      return;
    default:
  }
}

function joined(list: Iterable<unknown>, separator: number): number {
  let length = 0;
  for (const item of list) length += lengthOf(item) + separator;
  return length;
}
