import type { Clock, Disposable } from "@tulle/base";

import type { JsonObject } from "./patch.js";

/** A reader that has not taken this much is dropped: it lists and watches again. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
const BOOKMARK_EVERY_MS = 60_000;
const MAX_TIMEOUT_MS = 3_600_000;
const DEFAULT_TIMEOUT_MS = 1_800_000;

export interface WatchStreamOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** `?timeoutSeconds=`; the stream ends then, and the client watches on from where it was. */
  readonly timeoutSeconds: number | undefined;
  /** `?allowWatchBookmarks=true`: the object of a BOOKMARK event, asked once a minute. */
  readonly bookmark: (() => JsonObject) | undefined;
  /** Starts sending: calls `send` for each event from now on. */
  readonly start: (send: (event: JsonObject) => void) => Disposable;
  readonly onEnd: () => void;
}

/** The body of a Kubernetes watch: one JSON event a line, until the client leaves, reads too slowly or time is up. */
export function watchStream(options: WatchStreamOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let end: () => void = () => undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const owned: Disposable[] = [];
        let ended = false;
        end = () => {
          if (ended) return;
          ended = true;
          for (const item of owned) item[Symbol.dispose]();
          options.signal.removeEventListener("abort", end);
          options.onEnd();
          try {
            controller.close();
          } catch {
            // The client cancelled first: there is nothing left to close.
          }
        };
        const send = (event: JsonObject): void => {
          if (ended) return;
          if ((controller.desiredSize ?? 0) <= 0) end();
          else controller.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
        };
        options.signal.addEventListener("abort", end);
        owned.push(options.start(send));
        const timeoutMs = Math.min(
          (options.timeoutSeconds ?? 0) * 1000 || DEFAULT_TIMEOUT_MS,
          MAX_TIMEOUT_MS,
        );
        owned.push(options.clock.setTimeout(end, timeoutMs, { keepAlive: false }));
        const { bookmark } = options;
        if (bookmark !== undefined) {
          const remind = (): void => send({ type: "BOOKMARK", object: bookmark() });
          owned.push(options.clock.setInterval(remind, BOOKMARK_EVERY_MS, { keepAlive: false }));
        }
        if (ended) for (const item of owned) item[Symbol.dispose]();
      },
      cancel: () => end(),
    },
    { highWaterMark: MAX_BUFFERED_BYTES, size: (chunk) => chunk.length },
  );
}
