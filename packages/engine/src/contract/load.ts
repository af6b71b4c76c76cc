import type { Controllers } from "../load/controllers.js";
import type { ReportedLoads } from "../load/reported-loads.js";
import type { ResultTable } from "../load/result-table.js";

/**
 * Shared counters behind balancing and circuit breaking: a slot per endpoint and per cluster in typed arrays. Where
 * several threads carry traffic, they share it, and it counts what all of them do. Slots survive configuration updates
 * as long as their identity lives.
 */
export interface LoadTable {
  /** A request (attempt) starts on an endpoint. `retry`: it is not the first try; counts against the retry budget. */
  begin(clusterSlot: number, endpointSlot: number, retry?: boolean): void;
  /** It ended, however. Exactly once per `begin`, with the same arguments. */
  end(clusterSlot: number, endpointSlot: number, retry?: boolean): void;
  /** What an attempt told about an endpoint at the time `now` (monotonic, the same in all threads). */
  observe(endpointSlot: number, latencyMs: number, failed: boolean, now: number): void;
  /** Somebody goes by the slowest answers of an endpoint: they are remembered from now on. */
  watchPeak(endpointSlot: number, now: number): void;
  /** How long an answer is expected to take, by the slowest of late where they are watched; 0 when nothing is known. */
  expectedMs(endpointSlot: number, now: number): number;
  /** When an endpoint began to warm up; 0 = nobody has said, `-Infinity` = it was there from the start. */
  warmSince(endpointSlot: number): number;
  setWarmSince(endpointSlot: number, at: number): void;
  inFlight(endpointSlot: number): number;
  clusterInFlight(clusterSlot: number): number;
  /** Retries under way in a cluster. */
  retriesInFlight(clusterSlot: number): number;
  /** Connections of a cluster, open or being made. */
  connections(clusterSlot: number): number;
  /** `by` is 1 or -1. */
  addConnections(clusterSlot: number, by: number): void;
  /** Requests of a cluster that wait for a connection. */
  pending(clusterSlot: number): number;
  /** `by` is 1 or -1. */
  addPending(clusterSlot: number, by: number): void;
  /**
   * Counts a request, or a retry, among those of the last `windowMs` of a cluster. `nowMs`: wall clock, which all threads
   * share. One cluster's window is always the same length.
   */
  countRecent(clusterSlot: number, windowMs: number, nowMs: number, retry: boolean): void;
  /** First tries of a cluster in about the last `windowMs`. */
  recentRequests(clusterSlot: number, windowMs: number, nowMs: number): number;
  recentRetries(clusterSlot: number, windowMs: number, nowMs: number): number;
  /** Notes that the retries of a request are used up, by the hash of its id. `nowMs`: wall clock. */
  noteRetried(requestHash: number, nowMs: number): void;
  /** Whether that was noted in the last minute. Forgets it. */
  takeRetried(requestHash: number, nowMs: number): boolean;
  /** Next value of a cluster's round-robin cursor, unsigned 32 bits. */
  turn(clusterSlot: number): number;
  /** The value that `turn` gives next; leaves the cursor where it is. */
  nextTurn(clusterSlot: number): number;
  /** What is held against an endpoint beside what the configuration says of it: bits `UNHEALTHY_*`; 0 = nothing. */
  unhealthy(endpointSlot: number): number;
  /** Sets or clears one of the bits `UNHEALTHY_*`. */
  setUnhealthy(endpointSlot: number, bit: number, on: boolean): void;
  /** Clears one of the bits `UNHEALTHY_*`; whether it was set. Of several threads that do, one gets it. */
  takeUnhealthy(endpointSlot: number, bit: number): boolean;
  /**
   * Takes a token out of a bucket, which is full when it is asked for first. Returns how many there were before: below 1
   * none was taken. `key` is whose bucket it is. Those of `kept` are many at most by configuration and stay; the others,
   * which callers can make up, displace each other when there are too many.
   */
  takeToken(key: string, kept: boolean, limit: TokenLimit, now: number): number;
  /** As `takeToken`, only looking. */
  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number;
  /** Requests that injected faults hold up. */
  activeFaults(): number;
  /** `by` is 1 or -1. */
  addActiveFaults(by: number): void;
  /** Changes whenever a bit of any endpoint does: what was derived from the bits before is out of date. */
  healthEpoch(): number;
  /** Of the proxy that has it, the same after a restart: what differs between proxies on purpose is drawn from it. 32 bits. */
  readonly identity: number;
  /** What endpoints tell of their load. */
  readonly reports: ReportedLoads;
  /** What outlier detection goes by, and what it did. */
  readonly results: ResultTable;
  /** What filters learn from the requests that they let through. */
  readonly controllers: Controllers;
}

/** A token bucket: how many tokens it holds, and how long it takes for one to come back. */
export interface TokenLimit {
  readonly maxTokens: number;
  readonly msPerToken: number;
}

/** An active health check failed. */
export const UNHEALTHY_CHECK = 1;
/** Outlier detection ejected it. */
export const UNHEALTHY_EJECTED = 2;
/** An active health check found it degraded: it takes requests when no healthy endpoint is left. */
export const UNHEALTHY_DEGRADED = 4;
/** It is ejected still, but its penalty is over: one request is to show whether it may come back. */
export const UNHEALTHY_PROBATION = 8;
/** On probation, and that request has not been sent yet. Who sends it takes the bit. */
export const UNHEALTHY_PROBE_WANTED = 16;
