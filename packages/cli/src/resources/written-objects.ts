import { formatProblem, parseObjects, type SourceObject, type SourcePosition } from "@tulle/api";
import { MeshError } from "@tulle/base";

import type { CliContext } from "../context.js";
import { terminalText } from "../output/terminal-text.js";
import { resourceName } from "./resource-name.js";
import { readSources, type SourceFileOptions } from "./source-files.js";

/** An object in a file, with what a command needs to speak of it. */
export interface WrittenObject {
  readonly source: SourceObject;
  /** `virtualservice.networking.istio.io/reviews`; a name that is missing is empty. */
  readonly resource: string;
  readonly name: string;
  /** Where the object is to be: its own namespace, or the one the command names. */
  readonly namespace: string;
}

export interface WrittenObjectsOptions extends SourceFileOptions {
  readonly filenames: readonly string[];
  /** `--namespace`: of objects that name none; others must name the same. */
  readonly namespace: string | undefined;
}

/** Reports what the user wrote and what became of it, on stderr. */
export class Complaints {
  readonly #context: CliContext;
  #count = 0;

  constructor(context: CliContext) {
    this.#context = context;
  }

  /** Refused objects and unreadable files so far. */
  get count(): number {
    return this.#count;
  }

  /** Counts one more and prints its lines. */
  add(lines: readonly string[]): void {
    this.#count++;
    this.#context.err(lines.map((line) => `${terminalText(line)}\n`).join(""));
  }

  /** Prints a warning, which counts for nothing. */
  warn(position: SourcePosition, message: string): void {
    this.#context.err(`${terminalText(formatProblem({ ...position, message: `warning: ${message}` }))}\n`);
  }
}

/**
 * The objects behind `-f`, in their order, but Namespaces first: others are in them. Of a text with problems none: they
 * are reported. `invalid` CLI_NO_OBJECTS when nothing at all is written there.
 */
export async function readWrittenObjects(
  options: WrittenObjectsOptions,
  complaints: Complaints,
): Promise<readonly WrittenObject[]> {
  let found = 0;
  const all: WrittenObject[] = [];
  for await (const { source, text } of readSources(options.filenames, options)) {
    const { objects, problems } = parseObjects(text, source);
    found += objects.length + problems.length;
    if (problems.length > 0) {
      const left = objects.length === 0 ? [] : [`${source}: left out whole until this is right`];
      complaints.add([...problems.map(formatProblem), ...left]);
      continue;
    }
    for (const object of objects) {
      const written = describe(object, options.namespace);
      const own = fieldOf(object, "namespace");
      if (object.kind.scope === "Namespaced" && own !== "" && own !== written.namespace) {
        const message = `${written.resource} is in the namespace ${own}, but --namespace says ${written.namespace}`;
        complaints.add([formatProblem({ ...object.at("metadata.namespace"), message })]);
      } else all.push(written);
    }
  }
  if (found === 0) {
    const message = `nothing is written in ${options.filenames.join(", ")}`;
    throw new MeshError("invalid", "CLI_NO_OBJECTS", message);
  }
  return [...all.filter(isNamespace), ...all.filter((written) => !isNamespace(written))];
}

function isNamespace({ source: { kind } }: WrittenObject): boolean {
  return kind.group === "" && kind.kind === "Namespace";
}

function describe(source: SourceObject, namespace: string | undefined): WrittenObject {
  const name = fieldOf(source, "name");
  const own = fieldOf(source, "namespace");
  return {
    source,
    resource: resourceName(source.kind, name),
    name,
    namespace: namespace ?? (own === "" ? "default" : own),
  };
}

function fieldOf({ object }: SourceObject, field: "name" | "namespace"): string {
  const metadata = object["metadata"];
  if (typeof metadata !== "object" || metadata === null || !Object.hasOwn(metadata, field)) return "";
  const value = (metadata as Readonly<Record<string, unknown>>)[field];
  return typeof value === "string" ? value : "";
}
