import { readdir } from "node:fs/promises";

import type { RootCommand } from "@bomb.sh/tab";
import type { Command } from "commander";

import { DEFAULT_SERVER } from "../command.js";
import type { CliContext } from "../context.js";
import { readCommandWords, type CommandWords } from "./command-words.js";

/** Options whose value is a path. */
const PATH_OPTIONS: ReadonlySet<string> = new Set(["--filename", "--data-dir", "--ready-file"]);
/** Commands whose operands are `KIND NAME…`. */
const KIND_COMMANDS: ReadonlySet<string> = new Set(["get", "describe", "delete"]);
const MAX_CANDIDATES = 1000;
/** Nobody waits longer for a Tab. */
const TIMEOUT_MS = 1000;

// Of the protocol between the shells' scripts and this program, which is Cobra's.
const NO_SPACE = 2;
const NO_FILE_COMPLETION = 4;

/** The script that teaches a shell to complete `tulle`, on stdout. */
export async function printCompletionScript(shell: string): Promise<void> {
  const { script } = await import("@bomb.sh/tab");
  script(shell, "tulle", "tulle");
}

/**
 * Answers a shell's script: candidates for the last of `words`, one a line with a description after a tab, and a line
 * `:<directives>`.
 */
export async function completeWords(
  program: Command,
  words: readonly string[],
  context: CliContext,
): Promise<void> {
  const line = readCommandWords(program, words.slice(0, -1));
  if (line.foreign || (line.open !== undefined && PATH_OPTIONS.has(line.open.long ?? ""))) {
    const paths = await pathsFrom(words.at(-1) ?? "");
    // A directory is only the beginning of a path.
    const directives = paths.some((path) => path.endsWith("/"))
      ? NO_SPACE | NO_FILE_COMPLETION
      : NO_FILE_COMPLETION;
    context.out(`${paths.map((path) => `${path}\t\n`).join("")}:${directives}\n`);
    return;
  }
  const root = await commandsOf(program);
  const name = line.command?.name() ?? "";
  if (KIND_COMMANDS.has(name)) {
    const candidates =
      line.operands.length === 0 ? await kindCandidates(name) : await nameCandidates(line, context);
    const offer = (complete: (value: string, description: string) => void): void => {
      for (const [value, description] of candidates) complete(value, description);
    };
    root.commands.get(name)?.argument("words", offer, true);
  }
  root.parse([...words]);
}

/** The commands as the completion library sees them. It adds commands of its own, so it gets a program of its own. */
async function commandsOf(program: Command): Promise<RootCommand> {
  const { default: tab } = await import("@bomb.sh/tab/commander");
  const mirror = program.createCommand(program.name()).enablePositionalOptions();
  for (const command of program.commands) {
    if (command.name() !== "completion" && command.name() !== "complete") mirror.addCommand(command);
  }
  return tab(mirror, { completionCommandName: "completion" });
}

type Candidate = readonly [value: string, description: string];

async function kindCandidates(command: string): Promise<readonly Candidate[]> {
  const { KINDS } = await import("@tulle/api");
  const { VIEWS } = await import("./views.js");
  const views = command === "get" ? VIEWS : [];
  return [...KINDS, ...views].map(({ plural }): Candidate => [plural, ""]);
}

/** Names of what there is of the kind; none when the control plane does not answer at once. */
async function nameCandidates(
  { operands, values }: CommandWords,
  context: CliContext,
): Promise<readonly Candidate[]> {
  const { connect } = await import("./connection.js");
  const { kindsNamed } = await import("./selection.js");
  const { findView } = await import("./views.js");
  const { listObjects } = await import("./object-listing.js");
  const word = operands[0] ?? "";
  const [kind] = kindsNamed(word);
  const view = findView(word);
  const query = { namespace: values.get("--namespace") ?? "default", names: [], now: context.clock.now() };
  try {
    const server = values.get("--server") ?? context.environment["TULLE_SERVER"] ?? DEFAULT_SERVER;
    const client = await connect({ server }, context, { timeoutMs: TIMEOUT_MS });
    const listing =
      kind === undefined ? await view?.list(client, query) : await listObjects(client, kind, query);
    const names = (listing?.rows ?? []).map(({ name }) => name).filter((name) => !operands.includes(name));
    return names.slice(0, MAX_CANDIDATES).map((name): Candidate => [name, ""]);
  } catch {
    return [];
  }
}

/** Paths that begin with what is written; directories end with `/`. */
async function pathsFrom(written: string): Promise<readonly string[]> {
  const slash = written.lastIndexOf("/") + 1;
  const [directory, start] = [written.slice(0, slash), written.slice(slash)];
  try {
    const entries = await readdir(directory === "" ? "." : directory, { withFileTypes: true });
    return (
      entries
        .filter(({ name }) => name.startsWith(start) && (start !== "" || !name.startsWith(".")))
        .map((entry) => `${directory}${entry.name}${entry.isDirectory() ? "/" : ""}`)
        // oxlint-disable-next-line no-control-regex -- a line and a tab mean something to the shell's script
        .filter((path) => !/[\u0000-\u001f\u007f]/.test(path))
        .sort()
        .slice(0, MAX_CANDIDATES)
    );
  } catch {
    return [];
  }
}
