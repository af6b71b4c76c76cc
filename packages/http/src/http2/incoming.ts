import { Closed } from "./closed-streams.js";
import type { Http2Refusal } from "./contract.js";
import { Flag, FrameType, readUint31, readUint32 } from "./frame.js";
import { type FrameTarget, Payload } from "./frame-reader.js";
import { IncomingData } from "./incoming-data.js";
import { IncomingHeads } from "./incoming-heads.js";
import { REFUSALS } from "./refusals.js";
import type { SessionCore } from "./session-core.js";

/** Which of our PINGs an acknowledgement answers; the first byte of the payload. */
export const PingKind = { APPLICATION: 1, DRAIN: 2 } as const;

/** What a connection gets of a turn that resets most of what it begins. */
const SUSPECT_REQUESTS_PER_TURN = 4;

/** Judges and dispatches the peer's frames. */
export class Incoming implements FrameTarget {
  readonly #core: SessionCore;
  readonly #data: IncomingData;
  readonly #heads: IncomingHeads;
  /** One of ours was sent and not answered. */
  pingPending = false;
  /** Frames that came in this call of `execute`. */
  #frames = 0;
  /** Requests that may come in it. */
  #requestsPerTurn = 0;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#data = new IncomingData(core);
    this.#heads = new IncomingHeads(core);
  }

  haltsBefore(type: number): boolean {
    const { error, isServer, limits } = this.#core;
    if (error !== undefined) return true;
    if (!isServer) return false;
    if (this.#frames >= limits.framesPerTurn) return true;
    // Before the next request, not behind the last: what ends that one at once spares the application it.
    return this.#heads.requests >= this.#requestsPerTurn && (type === FrameType.HEADERS || type < 0);
  }

  /** Whether a header block has begun and not ended. */
  get midBlock(): boolean {
    return this.#heads.openBlock !== 0;
  }

  /** A new call of `execute` begins. */
  beginTurn(): void {
    const { budget, limits } = this.#core;
    this.#heads.requests = 0;
    this.#frames = 0;
    this.#requestsPerTurn = budget.suspect
      ? Math.min(SUSPECT_REQUESTS_PER_TURN, limits.requestsPerTurn)
      : limits.requestsPerTurn;
  }

  onBadPreface(): void {
    this.#core.fail(REFUSALS.preface);
  }

  onFrameStart(type: number, flags: number, streamId: number, length: number): number {
    const core = this.#core;
    this.#frames++;
    if (length > core.options.maxFrameBytes) return this.#fail(REFUSALS.frameSize);
    if (!core.settingsSeen && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
      return this.#fail(REFUSALS.preface);
    }
    if (
      this.#heads.openBlock !== 0 &&
      (type !== FrameType.CONTINUATION || streamId !== this.#heads.openBlock)
    ) {
      return this.#fail(REFUSALS.continuation);
    }
    if (type === FrameType.DATA) return this.#data.begin(flags, streamId, length);
    const refusal = this.#check(type, flags, streamId, length);
    if (refusal !== undefined) return this.#fail(refusal);
    if (core.error !== undefined) return Payload.STOP;
    return type > FrameType.CONTINUATION || (type === FrameType.PRIORITY && length !== 5)
      ? Payload.SKIP
      : Payload.WHOLE;
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.HEADERS: {
        this.#heads.headers(flags, streamId, bytes, start, end);
        break;
      }
      case FrameType.CONTINUATION: {
        this.#heads.continuation(flags, bytes, start, end);
        break;
      }
      case FrameType.PRIORITY: {
        if (readUint31(bytes, start) === streamId) this.#refusePriority(streamId, REFUSALS.selfDependency);
        break;
      }
      case FrameType.RST_STREAM: {
        this.#onReset(streamId, readUint32(bytes, start));
        break;
      }
      case FrameType.SETTINGS: {
        this.#onSettings(flags, bytes, start, end);
        break;
      }
      case FrameType.PING: {
        this.#onPing(flags, bytes, start);
        break;
      }
      case FrameType.GOAWAY: {
        this.#core.onGoAway(readUint31(bytes, start), readUint32(bytes, start + 4));
        break;
      }
      case FrameType.WINDOW_UPDATE: {
        this.#onWindowUpdate(streamId, readUint31(bytes, start));
        break;
      }
      default:
    }
    const { writer, limits } = this.#core;
    if (writer.pendingControls > limits.maxPendingControlFrames) this.#core.fail(REFUSALS.pendingControl);
    else if (writer.pendingFrames > limits.maxPendingFrames) this.#core.fail(REFUSALS.pendingFrames);
  }

  onPayload(bytes: Buffer, start: number, end: number): void {
    this.#data.payload(bytes, start, end);
  }

  onPayloadEnd(): void {
    this.#data.end();
  }

  /** What a frame's header alone can break. */
  #check(type: number, flags: number, streamId: number, length: number): Http2Refusal | undefined {
    const core = this.#core;
    switch (type) {
      case FrameType.HEADERS: {
        return streamId === 0 ? REFUSALS.streamZero : undefined;
      }
      case FrameType.CONTINUATION: {
        return this.#heads.openBlock === 0
          ? REFUSALS.continuation
          : this.#heads.continuationStart(flags, length);
      }
      case FrameType.PRIORITY: {
        if (streamId === 0) return REFUSALS.streamZero;
        if (length !== 5) this.#refusePriority(streamId, REFUSALS.priorityLength);
        return core.budget.priority();
      }
      case FrameType.RST_STREAM: {
        if (length !== 4) return REFUSALS.frameSize;
        if (streamId === 0) return REFUSALS.streamZero;
        return core.isIdle(streamId) ? REFUSALS.idleStream : undefined;
      }
      case FrameType.SETTINGS: {
        if (streamId !== 0) return REFUSALS.streamZero;
        if (length % 6 !== 0 || ((flags & Flag.ACK) !== 0 && length !== 0)) return REFUSALS.frameSize;
        if (length / 6 > core.limits.maxSettingsEntries) return REFUSALS.settingsEntries;
        return core.budget.control(core.nowMs, core.writer.headFrames + core.writer.dataFrames);
      }
      case FrameType.PUSH_PROMISE: {
        return REFUSALS.push;
      }
      case FrameType.PING: {
        if (streamId !== 0) return REFUSALS.streamZero;
        if (length !== 8) return REFUSALS.frameSize;
        return core.budget.control(core.nowMs, core.writer.headFrames + core.writer.dataFrames);
      }
      case FrameType.GOAWAY: {
        if (streamId !== 0) return REFUSALS.streamZero;
        if (length < 8) return REFUSALS.frameSize;
        return core.budget.control(core.nowMs, core.writer.headFrames + core.writer.dataFrames);
      }
      case FrameType.WINDOW_UPDATE: {
        if (length !== 4) return REFUSALS.frameSize;
        if (streamId !== 0 && core.isIdle(streamId)) return REFUSALS.idleStream;
        return core.budget.windowUpdate(core.writer.dataFrames);
      }
      default: {
        return core.budget.priority();
      }
    }
  }

  #refusePriority(streamId: number, refusal: Http2Refusal): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream !== undefined) core.refuseStream(stream, refusal);
    // There is no stream to reset, and nobody sends this by mistake.
    else core.fail(refusal);
  }

  #onReset(streamId: number, code: number): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream !== undefined) {
      core.lose(stream, code);
      // Who stops sending because it has its answer has cancelled nothing.
      if (stream.lingersSinceMs < 0) core.countReset(stream.openedMs);
      return;
    }
    // Once, a reset may cross ours or follow the end. Again, it is no error, only work.
    const reason = core.closed.reasonOf(streamId);
    if (reason === Closed.ENDED || reason === Closed.BY_US) core.closed.add(streamId, Closed.BY_PEER);
    else core.countReset(core.nowMs);
  }

  #onSettings(flags: number, bytes: Buffer, start: number, end: number): void {
    const core = this.#core;
    if ((flags & Flag.ACK) !== 0) {
      if (!core.settingsAcknowledged) core.decoder.onSettingsAcknowledged();
      core.settingsAcknowledged = true;
      return;
    }
    const { peer } = core;
    const windowBefore = peer.initialWindowBytes;
    if (!core.goesOn(peer.apply(bytes, start, end, !core.isServer))) return;
    core.settingsSeen = true;
    core.encoder.setPeerTableSize(peer.smallestTableBytes);
    core.encoder.setPeerTableSize(peer.headerTableBytes);
    const change = peer.initialWindowBytes - windowBefore;
    if (change !== 0) {
      for (const stream of core.streams.all()) {
        if (!core.sending.addToStream(stream, change)) return core.fail(REFUSALS.settingWindow);
      }
    }
    core.writer.settingsAck();
    core.handler.onSettings(peer);
    core.wake();
  }

  #onPing(flags: number, bytes: Buffer, start: number): void {
    const core = this.#core;
    if ((flags & Flag.ACK) === 0) {
      core.writer.ping(bytes, start, true);
      return;
    }
    if (bytes[start] === PingKind.DRAIN && core.announced) core.goAway(0);
    else if (bytes[start] === PingKind.APPLICATION && this.pingPending) {
      this.pingPending = false;
      core.handler.onPingAck();
    }
  }

  #onWindowUpdate(streamId: number, increment: number): void {
    const core = this.#core;
    if (streamId === 0) {
      if (increment === 0) core.fail(REFUSALS.windowIncrement);
      else if (core.sending.addToConnection(increment)) core.wake();
      else core.fail(REFUSALS.windowOverflow);
      return;
    }
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      // Credit may come late; no credit is an error whenever it comes.
      if (increment === 0) core.fail(REFUSALS.windowIncrement);
    } else if (increment === 0) core.refuseStream(stream, REFUSALS.windowIncrement);
    else if (core.sending.addToStream(stream, increment)) core.wake();
    else core.refuseStream(stream, REFUSALS.windowOverflow);
  }

  #fail(refusal: Http2Refusal): number {
    this.#core.fail(refusal);
    return Payload.STOP;
  }
}
