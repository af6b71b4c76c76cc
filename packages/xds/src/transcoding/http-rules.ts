import { getOption, hasOption, type DescField, type DescMethod, type DescService } from "@bufbuild/protobuf";

import { http as httpOption } from "../gen/google/api/annotations_pb.js";
import type { HttpRule } from "../gen/google/api/http_pb.js";
import { parsePathTemplate, type PathTemplate } from "./path-template.js";

/** One way to call a method by HTTP. */
export interface HttpBinding {
  readonly method: DescMethod;
  /** `GET`; `*` = any. */
  readonly verb: string;
  readonly template: PathTemplate;
  /** Where the request's body goes: the whole message, a field of it, or nowhere. */
  readonly body: "*" | DescField | undefined;
  /** The field that the answer is; undefined = the whole message. */
  readonly responseBody: DescField | undefined;
}

/** The ways to call a service's methods. A text says which rule is wrong, and how. */
export function bindingsOf(service: DescService, autoMapping: boolean): readonly HttpBinding[] | string {
  const bindings: HttpBinding[] = [];
  for (const method of service.methods) {
    const rules = rulesOf(method, autoMapping);
    for (const rule of rules) {
      const binding = bindingOf(method, rule);
      if (typeof binding === "string") return `${service.typeName}.${method.name}: ${binding}`;
      bindings.push(binding);
    }
  }
  return bindings;
}

type Rule = Pick<HttpRule, "pattern" | "body" | "responseBody">;

function rulesOf(method: DescMethod, autoMapping: boolean): readonly Rule[] {
  if (hasOption(method, httpOption)) {
    const rule = getOption(method, httpOption);
    return [rule, ...rule.additionalBindings];
  }
  if (!autoMapping) return [];
  const path = `/${method.parent.typeName}/${method.name}`;
  return [{ pattern: { case: "post", value: path }, body: "*", responseBody: "" }];
}

function bindingOf(method: DescMethod, { pattern, body, responseBody }: Rule): HttpBinding | string {
  if (pattern.case === undefined) return "google.api.http has no path";
  const isCustom = pattern.case === "custom";
  const verb = isCustom ? pattern.value.kind : pattern.case.toUpperCase();
  const path = isCustom ? pattern.value.path : pattern.value;
  const template = parsePathTemplate(path);
  if (typeof template === "string") return `the path ${JSON.stringify(path)} ${template}`;
  const into = body === "" || body === "*" ? undefined : fieldOf(method.input.fields, body);
  if (into === undefined && body !== "" && body !== "*")
    return `body: ${method.input.typeName} has no field ${body}`;
  const from = responseBody === "" ? undefined : fieldOf(method.output.fields, responseBody);
  if (from === undefined && responseBody !== "")
    return `response_body: ${method.output.typeName} has no field ${responseBody}`;
  return { method, verb, template, body: body === "*" ? "*" : into, responseBody: from };
}

/** The field of a name, as the proto file or JSON spells it. */
export function fieldOf(fields: readonly DescField[], name: string): DescField | undefined {
  return fields.find((field) => field.name === name) ?? fields.find((field) => field.jsonName === name);
}
