import { InvalidArgumentError } from "commander";

/** An option's value as a port, 0 to 65535 (0: a free one). */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError("expected a port, 0 to 65535.");
  return port;
}

/** Reads a number of threads, 1 to 64. */
export function parseWorkers(text: string): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 1 && count <= 64)) throw new InvalidArgumentError("expected a number of threads, 1 to 64.");
  return count;
}

/** Gathers the values of an option that may be given several times. */
export function collect<T>(
  parse: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before) => [...(before ?? []), parse(text)];
}

/** One `--upstream`: how the application reaches a service. */
export interface UpstreamArgument {
  /** `ratings:9080`, `ratings.shop`, `ratings`. */
  readonly authority: string;
  /** Loopback port for the application; 0: a free one. */
  readonly localPort: number;
  /** Unix socket instead. */
  readonly socketPath?: string;
}

/** Reads `SERVICE[:PORT][=LOCALPORT]` or `SERVICE[:PORT]=unix:/PATH`. */
export function parseUpstream(text: string): UpstreamArgument {
  const match =
    /^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(?::\d{1,5})?)(?:=(\d{1,5})|=unix:(?:\/\/)?(\/[^\0]+))?$/.exec(
      text,
    );
  if (match === null || text.length > 300) {
    throw new InvalidArgumentError(
      "expected SERVICE[:PORT][=LOCALPORT] or SERVICE[:PORT]=unix:/PATH, such as ratings:9080 or ratings:9080=9081.",
    );
  }
  if (match[4] !== undefined) return { authority: match[1] ?? "", localPort: 0, socketPath: match[4] };
  return { authority: match[1] ?? "", localPort: match[3] === undefined ? 0 : parsePort(match[3]) };
}

/** Reads `name=value`. */
export function parseLabel(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("expected name=value.");
  return [text.slice(0, at), text.slice(at + 1)];
}
