import { MeshError, type Logger } from "@tulle/base";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Topic } from "../../change-index.js";
import type { Registry } from "../../registry.js";
import { waitForChange, type Waiting, type WatchedList } from "./blocking.js";
import { blockingOf } from "./query.js";

/** JSON as Consul sends it, indented with `?pretty`. */
export function json(context: Context, value: unknown, status: ContentfulStatusCode = 200): Response {
  const text = JSON.stringify(value, undefined, context.req.query("pretty") === undefined ? undefined : 4);
  return context.body(text, status, { "content-type": "application/json" });
}

/** What Consul answers to a change: 200 and nothing. */
export function done(context: Context): Response {
  return context.body("", 200);
}

/** Answers a list of the registry that can be watched. */
export function watchable(
  context: Context,
  registry: Registry,
  topic: Topic,
  read: () => unknown,
): Promise<Response> {
  const { index } = registry.catalog;
  const list: WatchedList = {
    index: () => index.of(topic),
    newest: () => index.current,
    listen: (listener) => index.listen(topic, listener),
  };
  return answerWatched(context, list, registry, read);
}

/** Answers a list that can be watched: waits if asked to, then reads, with the list's index in the header. */
export async function answerWatched(
  context: Context,
  list: WatchedList,
  waiting: Waiting,
  read: () => unknown,
): Promise<Response> {
  await waitForChange(list, waiting, blockingOf(context), context.req.raw.signal);
  context.header("X-Consul-Index", String(list.index()));
  context.header("X-Consul-KnownLeader", "true");
  context.header("X-Consul-LastContact", "0");
  context.header("X-Consul-Effective-Consistency", "leader");
  return json(context, await read());
}

/** The only place where failures become answers: plain text, with Consul's status codes. */
export function failure(context: Context, thrown: unknown, logger: Logger): Response {
  const error = MeshError.from(thrown);
  const status = statusOf(error);
  if (status === 500 && error.code === "BASE_UNEXPECTED") {
    logger.error("a request to Consul's API failed", { path: context.req.path, error });
    return context.text("internal error", 500);
  }
  return context.text(
    error.kind === "denied" ? `Permission denied: ${error.message}` : error.message,
    status,
  );
}

function statusOf({ kind, code }: MeshError): ContentfulStatusCode {
  if (code === "REGISTRY_TOO_LARGE") return 413;
  switch (kind) {
    case "invalid":
      return 400;
    case "not-found":
      return 404;
    case "exhausted":
      return 429;
    case "unavailable":
      return 503;
    case "denied":
      return 403;
    // A wrong check type is 500 in Consul as well, and clients register again on it.
    case "conflict":
    case "already-exists":
    case "timeout":
    case "canceled":
    case "unauthenticated":
    case "unimplemented":
    case "internal":
      return 500;
  }
}
