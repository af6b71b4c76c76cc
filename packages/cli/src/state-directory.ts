import { homedir } from "node:os";
import { join } from "node:path";

/** Where Tulle keeps what must outlive a process: `$XDG_STATE_HOME/tulle`, by default `~/.local/state/tulle`. */
export function stateDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  ...parts: string[]
): string {
  const home = environment["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state");
  return join(home, "tulle", ...parts);
}
