/** One of the process' own outputs: `process.stdout`, or what stands in for it. */
export interface OutputStream {
  write(text: string): unknown;
  on(event: "error", listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** What a pipe says whose reader has gone (`tulle get vs | head -1`), and a terminal that was closed. */
const NOBODY_READS: ReadonlySet<string | undefined> = new Set(["EPIPE", "ECONNRESET", "EIO"]);

/**
 * Writes to an output whose reader may go away at any time. What comes after that is dropped without a word: the command
 * still does what it was asked for, and its exit code says how that went. `onGone`: the reader went; `onLost`: what was
 * written is lost for another reason, such as a full disk.
 */
export function outputTo(
  stream: OutputStream,
  onGone: () => void,
  onLost: (error: Error) => void,
): (text: string) => void {
  let isOpen = true;
  stream.on("error", (error) => {
    if (!isOpen) return;
    isOpen = false;
    if (NOBODY_READS.has(error.code)) onGone();
    else onLost(error);
  });
  return (text) => {
    if (isOpen) stream.write(text);
  };
}
