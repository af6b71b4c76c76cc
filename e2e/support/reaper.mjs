// Ends what a test run started when the run itself is gone, however it ended: then its end of this pipe closes. Reads
// "group 123" and "directory /tmp/x" for what is there, "forget group 123" and "forget directory /tmp/x" for what is not.
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const there = new Set();

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line.startsWith("forget ")) there.delete(line.slice("forget ".length));
    else there.add(line);
  })
  .on("close", () => {
    for (const each of there) {
      const [what, name] = each.split(/ (.*)/);
      if (what === "group") killGroup(Number(name));
    }
    for (const each of there) {
      const [what, name] = each.split(/ (.*)/);
      if (what === "directory") rmSync(name, { recursive: true, force: true, maxRetries: 3 });
    }
  });

function killGroup(id) {
  try {
    process.kill(-id, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}
