import { Argument, type Command } from "commander";

import type { CliContext } from "../context.js";

const EXAMPLES = `
Commands, options, kinds, names of objects and files are completed. bash needs the package bash-completion.

Examples:
  $ source <(tulle completion bash)                                    # for this shell; in ~/.bashrc for all
  $ tulle completion zsh > "\${fpath[1]}/_tulle"
  $ tulle completion fish > ~/.config/fish/completions/tulle.fish
  > tulle completion powershell | Out-String | Invoke-Expression`;

/** `tulle completion`: scripts for shells, and `complete`, the hidden command that these call. */
export function registerCompletion(program: Command, context: CliContext): void {
  program
    .command("completion")
    .description("print the script that makes a shell complete tulle's commands")
    .addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish", "powershell"]))
    .addHelpText("after", EXAMPLES)
    .action(async (shell: "bash" | "zsh" | "fish" | "powershell") => {
      const { printCompletionScript } = await import("../resources/completion.js");
      await printCompletionScript(shell);
    });
  program
    .command("complete", { hidden: true })
    .description("candidates for the last word of a command line, for shells")
    .argument("[words...]", "the words after tulle, after --")
    .action(async (words: readonly string[]) => {
      const { completeWords } = await import("../resources/completion.js");
      await completeWords(program, words, context);
    });
}
