import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { pinned } from "./spawned.mjs";

const run = promisify(execFile);

/** One transfer with curl; resolves with its seconds. Throws unless it is answered with 200 and all bytes have passed. */
export async function curl(url, { bytes, upload, cpu }) {
  const args = ["-sS", "--fail", "-o", "/dev/null", "-w", "%{size_upload} %{size_download} %{time_total}"];
  const body = upload === undefined ? [] : ["-H", "Expect:", "-T", upload];
  const { stdout } = await run(...pinned("curl", [...args, ...body, url], cpu));
  const [up, down, seconds] = stdout.split(" ").map(Number);
  if ((upload === undefined ? down : up) !== bytes)
    throw new Error(`curl moved ${stdout}, not ${bytes} bytes`);
  return seconds;
}
