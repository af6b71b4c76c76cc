import type { Kind } from "@tulle/api";
import type { MeshError } from "@tulle/base";
import type { Client } from "@tulle/client";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import { toRefusal } from "./apply-objects.js";
import { resourceName } from "./resource-name.js";
import { Complaints, readWrittenObjects, type WrittenObjectsOptions } from "./written-objects.js";

export interface DeleteOptions {
  readonly dryRun: boolean;
  /** What is not there any more is fine. */
  readonly ignoreNotFound: boolean;
}

interface Doomed {
  readonly kind: Kind;
  readonly name: string;
  readonly namespace: string;
}

/** Deletes the named objects; gives the exit code. */
export async function deleteNamed(
  client: Client,
  objects: Iterable<Doomed>,
  options: DeleteOptions,
  context: CliContext,
): Promise<number> {
  const deletion = new Deletion(client, options, new Complaints(context), context);
  for (const object of objects) await deletion.delete(object);
  return deletion.exitCode;
}

/** Deletes all objects behind `-f`, the last first; gives the exit code. */
export async function deleteWritten(
  client: Client,
  options: DeleteOptions & WrittenObjectsOptions,
  context: CliContext,
): Promise<number> {
  const complaints = new Complaints(context);
  const deletion = new Deletion(client, options, complaints, context);
  const written = await readWrittenObjects(options, complaints);
  // Namespaces, which were read first, go last.
  for (const { source, name, namespace } of written.toReversed()) {
    if (name === "") complaints.add([`${source.source}:${source.line}: metadata.name is required`]);
    else await deletion.delete({ kind: source.kind, name, namespace });
  }
  return deletion.exitCode;
}

class Deletion {
  readonly #client: Client;
  readonly #options: DeleteOptions;
  readonly #complaints: Complaints;
  readonly #context: CliContext;
  #notFound = 0;

  constructor(client: Client, options: DeleteOptions, complaints: Complaints, context: CliContext) {
    this.#client = client;
    this.#options = options;
    this.#complaints = complaints;
    this.#context = context;
  }

  /** 4 when nothing else is wrong than that some were not there. */
  get exitCode(): number {
    const { count } = this.#complaints;
    if (count === 0) return EXIT.ok;
    return count === this.#notFound ? EXIT.notFound : EXIT.failed;
  }

  async delete({ kind, name, namespace }: Doomed): Promise<void> {
    const { dryRun, ignoreNotFound } = this.#options;
    try {
      await this.#client.resources.delete(kind, { namespace, name }, { dryRun });
      this.#context.out(`${resourceName(kind, name)} deleted${dryRun ? " (dry run)" : ""}\n`);
    } catch (thrown) {
      const { kind: reason, message } = toRefusal(thrown) satisfies MeshError;
      if (reason === "not-found") {
        if (ignoreNotFound) return;
        this.#notFound++;
      }
      this.#complaints.add([`tulle: ${message}`]);
    }
  }
}
