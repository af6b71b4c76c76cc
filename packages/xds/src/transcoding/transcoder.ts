import { createFileRegistry, fromBinary, type FileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

import { messageOf, overlaps, wayTo, type BoundField, type FieldWay } from "./bound-fields.js";
import type { FoundCall, Transcoder, TranscoderSettings } from "./contract.js";
import { bindingsOf, type HttpBinding } from "./http-rules.js";
import { MethodCall } from "./method-call.js";
import { PathMatcher, type PathMatch } from "./path-matcher.js";
import { decodePercent } from "./percent-decoding.js";
import { readQuery } from "./query.js";

/** Most ways to call methods that one transcoder knows. */
const MAX_BINDINGS = 4096;

/** A binding whose variables are fields. */
interface KnownBinding {
  readonly binding: HttpBinding;
  /** Of each variable, in order. */
  readonly ways: readonly FieldWay[];
}

/** Makes a transcoder. A text in place of it says what is wrong with the settings. */
export function createTranscoder(settings: TranscoderSettings): Transcoder | string {
  const matcher = new PathMatcher<KnownBinding>(settings.matchesOtherVerbs);
  const registry = fill(matcher, settings);
  return typeof registry === "string" ? registry : new DescribedTranscoder(settings, registry, matcher);
}

/** What is described. */
type Described = Pick<TranscoderSettings, "descriptorSet" | "services" | "autoMapping">;

/** What is wrong with descriptors, for whoever only passes them on; undefined = nothing. */
export function transcoderProblem(described: Described): string | undefined {
  const registry = fill(new PathMatcher<KnownBinding>(), described);
  return typeof registry === "string" ? registry : undefined;
}

function fill(matcher: PathMatcher<KnownBinding>, settings: Described): FileRegistry | string {
  const registry = registryOf(settings.descriptorSet);
  if (typeof registry === "string") return registry;
  let count = 0;
  for (const name of settings.services) {
    const service = registry.getService(name);
    if (service === undefined) return `the descriptor set has no service ${name}`;
    const bindings = bindingsOf(service, settings.autoMapping);
    if (typeof bindings === "string") return bindings;
    for (const binding of bindings) {
      const ways = waysOf(binding);
      if (typeof ways === "string") return ways;
      if (++count > MAX_BINDINGS) return `there are more than ${MAX_BINDINGS} paths`;
      matcher.add(binding.verb, binding.template, { binding, ways });
    }
  }
  return registry;
}

function registryOf(bytes: Uint8Array): FileRegistry | string {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return `is no descriptor set with all imports (protoc --include_imports --descriptor_set_out): ${why}`;
  }
}

function waysOf({ method, template }: HttpBinding): readonly FieldWay[] | string {
  const ways: FieldWay[] = [];
  for (const { field } of template.variables) {
    const way = wayTo(method.input, field);
    if (way === undefined || way.at(-1)?.fieldKind === "list")
      return `${method.parent.typeName}.${method.name}: ${method.input.typeName} has no field ${field.join(".")} that a path can have`;
    ways.push(way);
  }
  return ways;
}

class DescribedTranscoder implements Transcoder {
  readonly #settings: TranscoderSettings;
  readonly #registry: FileRegistry;
  readonly #matcher: PathMatcher<KnownBinding>;
  readonly #ignored: ReadonlySet<string>;

  constructor(settings: TranscoderSettings, registry: FileRegistry, matcher: PathMatcher<KnownBinding>) {
    this.#settings = settings;
    this.#registry = registry;
    this.#matcher = matcher;
    this.#ignored = new Set(settings.ignoredQueryParameters);
  }

  find(method: string, target: string): FoundCall {
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    const match = this.#matcher.find(method, path);
    if (match === undefined) return { kind: "unknown-method" };
    const bound = this.#variablesOf(match);
    const wrong = this.#addQuery(match.value.binding, mark < 0 ? "" : target.slice(mark + 1), bound);
    if (wrong !== undefined) return wrong;
    const { binding } = match.value;
    try {
      messageOf(binding.method.input, bound, this.#registry);
    } catch (thrown) {
      return { kind: "invalid", message: thrown instanceof Error ? thrown.message : String(thrown) };
    }
    return { kind: "call", call: new MethodCall(binding, bound, this.#settings, this.#registry) };
  }

  #variablesOf({ value, variables }: PathMatch<KnownBinding>): BoundField[] {
    return variables.map(({ variable, text }, index) => ({
      way: value.ways[index]!,
      texts: [decodePercent(text, variable.isMulti ? this.#settings.kept : "nothing")],
    }));
  }

  #addQuery({ method }: HttpBinding, query: string, bound: BoundField[]): FoundCall | undefined {
    const { queryPlusIsBlank, ignoreUnknownQueryParameters } = this.#settings;
    const parameters = readQuery(query, queryPlusIsBlank);
    if (parameters === undefined)
      return { kind: "invalid", message: "the query has more than 256 parameters" };
    for (const [name, value] of parameters) {
      if (this.#ignored.has(name)) continue;
      const way = wayTo(method.input, name.split("."));
      if (way === undefined) {
        if (ignoreUnknownQueryParameters) continue;
        return { kind: "unknown-parameter", name };
      }
      const taken = bound.find((field) => overlaps(field.way, way));
      if (taken === undefined) bound.push({ way, texts: [value] });
      else if (taken.way.length === way.length && way.at(-1)?.fieldKind === "list") taken.texts.push(value);
      else return { kind: "invalid", message: `${name} is said twice` };
    }
    return undefined;
  }
}
