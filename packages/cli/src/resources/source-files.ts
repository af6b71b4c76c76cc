import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { MeshError, systemErrorCode } from "@tulle/base";

/** A text that a user wrote, under the name that messages give it. */
export interface SourceText {
  readonly source: string;
  readonly text: string;
}

export interface SourceFileOptions {
  /** Directories below directories too. Default false. */
  readonly recursive: boolean;
  readonly stdin: () => Promise<string>;
}

const EXTENSIONS = [".yaml", ".yml", ".json"];
const MAX_FILES = 10_000;
const MAX_DEPTH = 64;
const MAX_BYTES = 32 * 1024 * 1024;
/** Of all texts together, in UTF-16 units: callers hold them all. */
const MAX_TOTAL = 128 * 1024 * 1024;

/**
 * The texts behind `-f`: files, directories (their .yaml, .yml and .json files in order of name) and `-` for stdin,
 * once. `not-found` CLI_NO_FILE, `invalid` CLI_FILE when one cannot be read.
 */
export async function* readSources(
  names: readonly string[],
  options: SourceFileOptions,
): AsyncGenerator<SourceText, void, undefined> {
  if (names.filter((name) => name === "-").length > 1) throw wrong("stdin (-) can be read once only");
  let files = 0;
  let total = 0;
  const counted = (source: string, text: string): SourceText => {
    total += text.length;
    if (total > MAX_TOTAL) throw wrong("the files are too large together: apply them in parts");
    return { source, text };
  };
  for (const name of names) {
    if (name === "-") {
      yield counted("stdin", await options.stdin());
      continue;
    }
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) {
      throw wrong(`${name} is a URL: -f takes files, directories and - for stdin`);
    }
    const before = files;
    for await (const file of filesOf(name, options.recursive)) {
      if (++files > MAX_FILES) throw wrong(`there are more than ${MAX_FILES} files: apply them in parts`);
      yield counted(file, await readText(file));
    }
    if (files === before) {
      throw wrong(
        `${name} has no .yaml, .yml or .json files${options.recursive ? "" : "; -R looks into its directories too"}`,
      );
    }
  }
}

async function* filesOf(name: string, recursive: boolean): AsyncGenerator<string, void, undefined> {
  const info = await attempt(name, () => stat(name));
  if (info.isDirectory()) yield* filesBelow(name, recursive, 0);
  else yield name;
}

async function* filesBelow(
  directory: string,
  recursive: boolean,
  depth: number,
): AsyncGenerator<string, void, undefined> {
  if (depth > MAX_DEPTH) throw wrong(`${directory} is nested too deeply`);
  const entries = await attempt(directory, () => readdir(directory, { withFileTypes: true }));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    // Links to directories are not followed: they may lead in circles.
    if (entry.isDirectory()) {
      if (recursive) yield* filesBelow(path, recursive, depth + 1);
    } else if (EXTENSIONS.some((extension) => entry.name.endsWith(extension))) {
      const info = await attempt(path, () => stat(path));
      if (!info.isDirectory()) yield path;
    }
  }
}

async function readText(file: string): Promise<string> {
  const { size } = await attempt(file, () => stat(file));
  if (size > MAX_BYTES) throw wrong(`${file} is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
  return attempt(file, () => readFile(file, "utf8"));
}

async function attempt<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === "ENOENT") {
      throw new MeshError("not-found", "CLI_NO_FILE", `there is no file or directory ${path}`, { cause });
    }
    throw wrong(`cannot read ${path}: ${code ?? String(cause)}`, cause);
  }
}

function wrong(message: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "CLI_FILE", message, { cause });
}
