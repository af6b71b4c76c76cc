export { main, runCli } from "./main.js";
export type { CliContext } from "./context.js";
