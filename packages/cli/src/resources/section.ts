/** A titled, indented part of a description; empty lines are left out. */
export function section(title: string, text: string): string {
  const lines = text.split("\n").filter((line) => line !== "");
  return `${title}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
