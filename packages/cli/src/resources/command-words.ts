import type { Command, Option } from "commander";

/** A command line that is not finished yet. */
export interface CommandWords {
  /** Undefined while the command itself is being written. */
  readonly command: Command | undefined;
  /** Words that are neither options nor their values, after the command. */
  readonly operands: readonly string[];
  /** Values of options by long name: `--server`. */
  readonly values: ReadonlyMap<string, string>;
  /** The option whose value comes next. */
  readonly open: Option | undefined;
  /** After `--`: what follows is another program's. */
  readonly foreign: boolean;
}

/** Reads the finished words of a command line, as far as completion needs it. */
export function readCommandWords(program: Command, words: readonly string[]): CommandWords {
  const values = new Map<string, string>();
  const operands: string[] = [];
  let command: Command | undefined;
  let open: Option | undefined;
  for (const word of words) {
    if (open !== undefined) {
      values.set(open.long ?? open.name(), word);
      open = undefined;
    } else if (word === "--") {
      return { command, operands, values, open: undefined, foreign: true };
    } else if (word.startsWith("-") && word !== "-") {
      const [flag = "", ...value] = word.split("=");
      const option = (command ?? program).options.find(({ long, short }) => flag === long || flag === short);
      if (option === undefined || !(option.required || option.optional)) continue;
      if (value.length > 0) values.set(option.long ?? option.name(), value.join("="));
      else open = option;
    } else if (command === undefined) {
      command = program.commands.find((candidate) => candidate.name() === word);
      if (command === undefined) operands.push(word);
    } else operands.push(word);
  }
  return { command, operands, values, open, foreign: false };
}
