import { errorFromStatus, type WireObject } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { isObject } from "./three-way-merge.js";

/** Longest line of a watch, in UTF-16 units: no object is longer. */
const MAX_LINE = 8 * 1024 * 1024;

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: WireObject;
}

/**
 * The events of a watch's body: one JSON object a line. An `ERROR` event is thrown as the error that its Status says.
 * Ends quietly when `signal` aborts.
 */
export async function* watchEvents(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE) throw broken("a line of the watch is too long");
      for (const line of lines) if (line.trim() !== "") yield parseEvent(line);
    }
  } catch (thrown) {
    if (signal.aborted) return;
    if (thrown instanceof MeshError) throw thrown;
    throw new MeshError(
      "unavailable",
      "CLIENT_DISCONNECTED",
      "the control plane ended the watch; watch again",
      {
        source: "control",
        cause: thrown,
      },
    );
  }
}

function parseEvent(line: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    throw broken("a line of the watch is not JSON");
  }
  if (!isObject(event) || !isObject(event["object"])) throw broken("a line of the watch is not an event");
  const { type, object } = event;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return { type, object: object as unknown as WireObject };
    case "ERROR": {
      const code = isObject(object) && typeof object["code"] === "number" ? object["code"] : 500;
      throw errorFromStatus(code, object);
    }
    default:
      throw broken("a line of the watch has an unknown type");
  }
}

function broken(message: string): MeshError {
  return new MeshError("internal", "CLIENT_UNEXPECTED_ANSWER", message, { source: "control" });
}
