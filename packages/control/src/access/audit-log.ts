import type { AccessAction, Role } from "@tulle/api";
import { MeshError, type Clock, type Logger } from "@tulle/base";

/** One write, or one denial. Nothing in it is a secret: no token, no body, no query. */
export interface AuditRecord {
  /** Also the answer's `audit-id`. */
  readonly requestId: string;
  /** `token:ci`, a SPIFFE id, `local`; "" for somebody who has not logged in. */
  readonly who: string;
  readonly role?: Role;
  /** Address that it came from. */
  readonly from: string;
  /** `PUT`, `POST`; `gRPC` for calls of that port. */
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  /** What was to be done, where that is known. */
  readonly action?: AccessAction;
  /** What it was about, where no action says it. */
  readonly object?: string;
  /** What users' rules say of it. */
  readonly notes?: readonly string[];
  readonly outcome: "done" | "denied" | "failed";
  /** HTTP status, or the code of a failure. */
  readonly status: number | string;
}

export interface AuditLog {
  /** Never waits and never throws: what cannot be kept is counted. */
  write(record: AuditRecord): void;
  /** Records that could not be kept. */
  readonly dropped: number;
  /** Writes what is left, for at most a second. */
  close(): Promise<void>;
}

/** Where lines go: resolves when they are written. */
export type AuditSink = (lines: string) => Promise<void>;

const MAX_QUEUED = 10_000;
const BATCH = 1000;
const RETRY_MS = 1000;
const CLOSE_MS = 1000;

export interface AuditLogOptions {
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An audit log of one JSON object a line. Up to 10,000 lines wait while the sink is slow or fails; then they are lost, and that is said. */
export function createAuditLog({ sink, clock, logger }: AuditLogOptions): AuditLog {
  const queue: string[] = [];
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let closed = false;

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH);
      try {
        await sink(batch.join(""));
        queue.splice(0, batch.length);
      } catch (error) {
        logger.error("cannot write the audit log; trying again", { error, waiting: queue.length, dropped });
        if (closed) return;
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, RETRY_MS, { keepAlive: false }));
      }
    }
  };
  const start = (): void => {
    writing ??= drain().finally(() => {
      writing = undefined;
      if (queue.length > 0 && !closed) start();
    });
  };

  return {
    get dropped() {
      return dropped;
    },
    write(record) {
      if (queue.length >= MAX_QUEUED || closed) {
        if (dropped++ % MAX_QUEUED === 0)
          logger.error("the audit log is full: records are lost", { dropped });
        return;
      }
      queue.push(`${line(record, clock.now())}\n`);
      start();
    },
    async close() {
      closed = true;
      const late = new Promise<void>(
        (resolve) => void clock.setTimeout(resolve, CLOSE_MS, { keepAlive: false }),
      );
      await Promise.race([writing ?? drain(), late]);
    },
  };
}

const MAX_TEXT = 512;

function line(record: AuditRecord, nowMs: number): string {
  const { requestId, who, role, from, method, path, action, notes, outcome, status } = record;
  const object = action?.object ?? record.object;
  return JSON.stringify({
    time: new Date(nowMs).toISOString(),
    requestId,
    who: cut(who),
    role,
    from,
    method,
    path: cut(path),
    verb: action?.verb,
    kind: action?.kind,
    namespace: action?.namespace,
    object: object === undefined ? undefined : cut(object),
    claims: action?.claims?.slice(0, 4).map(cut),
    notes: notes?.map(cut),
    outcome,
    status,
  });
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}

/** Keeps nothing. */
export const noAuditLog: AuditLog = { write: () => undefined, dropped: 0, close: () => Promise.resolve() };

/** An error as an audit record's status. */
export function auditStatus(thrown: unknown): string {
  return MeshError.from(thrown).code;
}
