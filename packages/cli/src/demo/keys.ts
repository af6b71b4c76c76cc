import { disposable, type Disposable } from "@tulle/base";

/** Calls `onKey` for every key pressed on the terminal until disposed; Ctrl-C comes as `q`. */
export function readKeys(input: NodeJS.ReadStream, onKey: (key: string) => void): Disposable {
  const onData = (chunk: Buffer): void => {
    for (const char of chunk.toString("utf8")) onKey(char === "\u0003" ? "q" : char);
  };
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return disposable(() => {
    input.off("data", onData);
    input.setRawMode(false);
    input.pause();
  });
}
