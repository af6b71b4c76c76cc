export type LogLevel = "debug" | "info" | "warn" | "error";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Extra fields of a record. Never put a key, a token or a certificate's private part here. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  readonly level: LogLevel;
  /** Changes the level of this logger and of all its children. */
  setLevel(level: LogLevel): void;
  /** Whether a record of `level` would be written: ask before building costly fields. */
  enabled(level: LogLevel): boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every record. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level?: LogLevel;
  /** Writes one finished line, without its newline. */
  readonly write: (line: string) => void;
  /** Wall clock in milliseconds since the epoch. */
  readonly now: () => number;
  /** One JSON object per line (default), or a line for people. */
  readonly format?: "json" | "text";
  readonly fields?: LogFields;
}

/** Creates a logger that writes one line per record, control characters escaped. */
export function createLogger(options: LoggerOptions): Logger {
  const shared = { level: options.level ?? "info" };
  const line = options.format === "text" ? textLine : jsonLine;
  return build(options.fields ?? {});

  function build(fields: LogFields): Logger {
    const log = (level: LogLevel, message: string, extra?: LogFields): void => {
      if (RANK[level] < RANK[shared.level]) return;
      options.write(
        line(options.now(), level, message, extra === undefined ? fields : { ...fields, ...extra }),
      );
    };
    return {
      get level() {
        return shared.level;
      },
      setLevel: (level) => {
        shared.level = level;
      },
      enabled: (level) => RANK[level] >= RANK[shared.level],
      debug: (message, extra) => log("debug", message, extra),
      info: (message, extra) => log("info", message, extra),
      warn: (message, extra) => log("warn", message, extra),
      error: (message, extra) => log("error", message, extra),
      child: (extra) => build({ ...fields, ...extra }),
    };
  }
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({ level: "error", write: () => undefined, now: () => 0 });

function jsonLine(now: number, level: LogLevel, message: string, fields: LogFields): string {
  const record = { time: new Date(now).toISOString(), level, message };
  // A field by one of these names would take the record's own place.
  return JSON.stringify({ ...record, ...plain(fields), ...record });
}

function textLine(now: number, level: LogLevel, message: string, fields: LogFields): string {
  let text = `${new Date(now).toISOString()} ${level.padEnd(5)} ${escapeControl(message)}`;
  for (const [key, value] of Object.entries(plain(fields))) {
    const shown = typeof value === "string" ? value : JSON.stringify(value);
    text += ` ${key}=${/[\s"=]/.test(shown ?? "") ? JSON.stringify(shown) : shown}`;
  }
  return text;
}

/** Errors as their message chain, big integers as text: what JSON.stringify would lose or refuse. */
function plain(fields: LogFields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Error) out[key] = describeError(value);
    else if (typeof value === "bigint") out[key] = value.toString();
    else out[key] = value;
  }
  return out;
}

/** An error's message followed by those of its causes, at most eight deep. */
export function describeError(thrown: unknown): string {
  const parts: string[] = [];
  let current: unknown = thrown;
  for (let depth = 0; depth < 8 && current !== undefined && current !== null; depth++) {
    parts.push(current instanceof Error ? current.message || current.name : JSON.stringify(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ");
}

function escapeControl(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replace(/[\u0000-\u001f\u007f]/g, (char) => JSON.stringify(char).slice(1, -1));
}
