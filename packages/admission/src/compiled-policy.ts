import {
  findKindByApiVersion,
  type Kind,
  type MeshObject,
  type ValidatingAdmissionPolicySpec,
  type Violation,
} from "@tulle/api";

import type { Cel, Program } from "./cel/index.js";

/** What expressions may name, beside `variables`. */
const NAMES: readonly string[] = ["object", "oldObject", "request", "namespaceObject"];
const MAX_NAMED = 1024;

export interface CompiledPolicy {
  readonly name: string;
  readonly spec: ValidatingAdmissionPolicySpec;
  readonly paramKind: Kind | undefined;
  readonly conditions: readonly NamedProgram[];
  readonly variables: readonly NamedProgram[];
  readonly validations: readonly { readonly program: Program; readonly message: Program | undefined }[];
}

export interface NamedProgram {
  readonly name: string;
  readonly program: Program;
}

/** A policy whose expressions are compiled, or everything that is wrong with it. */
export function compilePolicy(
  { metadata, spec: unknownSpec }: MeshObject,
  cel: Cel,
): CompiledPolicy | { readonly violations: readonly Violation[] } {
  const spec = unknownSpec as ValidatingAdmissionPolicySpec;
  const violations: Violation[] = [];
  const { paramKind: written, matchConditions = [], variables = [], validations } = spec;
  const paramKind =
    written === undefined ? undefined : findKindByApiVersion(written.apiVersion, written.kind);
  if (written !== undefined && paramKind === undefined) {
    const message = `there is no kind ${written.kind} of ${written.apiVersion} here: params are objects that Tulle stores, such as a ConfigMap (v1)`;
    violations.push({ path: "spec.paramKind", message });
  }
  const names = written === undefined ? NAMES : [...NAMES, "params"];
  const compile = (path: string, text: string, seen: readonly string[]): Program | undefined => {
    try {
      return cel.compile(text, { names, variables: seen });
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      violations.push({ path, message: `is no CEL that can be evaluated here: ${why.slice(0, MAX_NAMED)}` });
      return undefined;
    }
  };
  const all = variables.map(({ name }) => name);
  const conditions = matchConditions.map(({ name, expression }, index) => ({
    name,
    program: compile(`spec.matchConditions[${index}].expression`, expression, []),
  }));
  const compiledVariables = variables.map(({ name, expression }, index) => ({
    name,
    program: compile(`spec.variables[${index}].expression`, expression, all.slice(0, index)),
  }));
  const compiledValidations = validations.map(({ expression, messageExpression }, index) => ({
    program: compile(`spec.validations[${index}].expression`, expression, all),
    message:
      messageExpression === undefined
        ? undefined
        : compile(`spec.validations[${index}].messageExpression`, messageExpression, all),
  }));
  if (violations.length > 0) return { violations };
  return {
    name: metadata.name,
    spec,
    paramKind,
    conditions: conditions as NamedProgram[],
    variables: compiledVariables as NamedProgram[],
    validations: compiledValidations as CompiledPolicy["validations"],
  };
}
