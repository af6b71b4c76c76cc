// Loaded into a process by --import: its worker threads fail as soon as the file $FAIL_WHEN is there.
import { existsSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

if (!isMainThread) {
  setInterval(() => {
    if (existsSync(process.env.FAIL_WHEN)) throw new Error("this worker was told to fail");
  }, 50).unref();
}
