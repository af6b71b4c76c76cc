import { Option, type Command } from "commander";

/** How the control plane is trusted and who calls it: with what the environment and the credentials file do not say. */
export interface AccessOptions {
  readonly token?: string;
  readonly tokenFile?: string;
  /** PEM file of the roots that the control plane's certificate chains to. */
  readonly caFile?: string;
  /** SHA-256 of that root: 64 hexadecimal digits, colons allowed. */
  readonly caFingerprint?: string;
}

/** Adds the options of {@link AccessOptions} to every command that talks to a control plane. */
export function addAccessOptions(program: Command): void {
  for (const command of allCommands(program)) {
    if (!command.options.some(({ long }) => long === "--server")) continue;
    for (const option of accessOptions()) command.addOption(option);
  }
}

function accessOptions(): readonly Option[] {
  return [
    new Option(
      "--token <token>",
      "token to log in with; others on this machine may see it: better $TULLE_TOKEN",
    ),
    new Option("--token-file <file>", "file with the token ($TULLE_TOKEN_FILE)"),
    new Option(
      "--ca-file <file>",
      "roots that the control plane's certificate chains to, PEM ($TULLE_CA_FILE)",
    ),
    new Option("--ca-fingerprint <sha256>", "of that root, where there is no file ($TULLE_CA_FINGERPRINT)"),
  ];
}

function* allCommands(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* allCommands(child);
}
