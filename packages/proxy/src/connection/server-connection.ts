import type { TimerWheel } from "@tulle/base";
import type { Http1Error, Http2Refusal } from "@tulle/http";
import type { FlushQueue } from "@tulle/http/socket";

import type { LimitName } from "../limits/limit-table.js";
import type { ProxyLimits } from "../limits/proxy-limits.js";
import type { OverloadState } from "../overload/overload-manager.js";
import type { DownstreamStream, RequestHandler, RequestSource } from "../stream/contract.js";

/** Between the announcement of a connection's end and the end: a request may be on its way. */
export const IDLE_BEFORE_CLOSE_MS = 1000;

/** A connection from a client as its listener sees it, whatever protocol it speaks. */
export interface ServerConnection {
  /** Whether an exchange is under way. */
  readonly busy: boolean;
  /** Takes no more requests after those under way; without any it closes when `idleMs` have passed. */
  drain(idleMs: number): void;
  destroy(): void;
}

/** What a server connection needs of its proxy. */
export interface ServerConnectionContext {
  readonly queue: FlushQueue;
  readonly coarseWheel: TimerWheel;
  readonly limits: ProxyLimits;
  readonly overload: OverloadState;
  /** A client reached a limit; for counters and logs. `value`: of the limit; `remote`: the client's `host:port`. */
  onLimit(name: LimitName, value: number, remote: string): void;
  /** Makes the exchange that serves this connection's requests, one after the other. */
  createExchange(downstream: DownstreamStream, source: RequestSource): RequestHandler;
  /** A message was refused by the codec; for counters and logs. Returns the body of the answer. */
  onCodecError(error: Http1Error, source: RequestSource): string;
  /** A client's SOCKS was refused; for counters and logs. */
  onSocksRefusal(reason: string, source: RequestSource): void;
  /** An HTTP/2 client broke a rule, on a stream or on its connection; for counters and logs. */
  onHttp2Refusal(refusal: Http2Refusal, source: RequestSource): void;
}
