import type { RecordedTry } from "@tulle/api";

const WORDS: Readonly<Record<string, string>> = {
  switched: "the upgrade was made",
  "connect-failure": "no connection",
  "connect-timeout": "connecting took too long",
  overflow: "not sent: a limit was reached",
  closed: "the connection was closed",
  reset: "the instance ended the request",
  refused: "the instance took no more requests",
  "protocol-error": "the answer was not valid",
  "no-upgrade": "no upgrade can be asked for there",
  "per-try-timeout": "no answer within the per-try timeout",
  "per-try-idle-timeout": "nothing moved within the per-try idle timeout",
  abandoned: "given up, nobody waited any more",
};

/** What became of a try: `answered 503`, `no connection (ECONNREFUSED)`. */
export function tryInWords({ outcome, status, detail }: RecordedTry): string {
  const words =
    outcome === "answered"
      ? `answered ${status}`
      : ((Object.hasOwn(WORDS, outcome) ? WORDS[outcome] : undefined) ??
        (outcome === "" ? "under way" : outcome));
  const began = outcome !== "answered" && status >= 200 ? ` after ${status} had begun` : "";
  return `${words}${began}${detail === "" ? "" : ` (${detail})`}`;
}
