import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { getSystemErrorName } from "node:util";

import type { ByteChannel } from "./byte-channel.js";

/*
 * Node.js' own streams are built on these, and this file is the only one that knows of them. They are not public: what
 * is needed is looked for, and without it there is no direct channel. The same in Node.js 20, 22, 24 and 26.
 */
interface StreamHandle {
  /** Called after every read, with the handle as `this`. */
  onread: (this: StreamHandle, data: unknown) => void;
  reading: boolean;
  readStart(): number;
  readStop(): number;
  /** From now on reads go into `memory`. */
  useUserBuffer(memory: Buffer): void;
  /** Tries to write at once; `request` serves for the rest. Returns 0 or a system error's number. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}
interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Held until it is written. */
  bytes?: Buffer;
}
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** Results of the last call, by these indices. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

const binding = findBinding();
/** All channels read into the same memory, one after the other: their users take what they need before they return. */
const memory = Buffer.allocUnsafeSlow(64 * 1024);
/** A request that no write has taken so far: one that is written at once leaves it free. */
let spareRequest: WriteRequest | undefined;

/**
 * A channel that calls a socket's handle itself. A read by `data` events allocates a buffer, a write by `write()` a
 * request and a tick, each beside the bookkeeping of a stream: of one hop's 22.0 us a request without this, 18.2 are left,
 * and of 4.4 CPU-s for a GiB between sidecars 2.1, for all those buffers are garbage. TLS is only read so: its handle takes
 * one write at a time, and never at once.
 */
export class DirectChannel implements ByteChannel {
  readonly #socket: Socket;
  readonly #handle: StreamHandle;
  readonly #binding: StreamBinding;
  readonly #isTls: boolean;
  #paused = false;
  #onRead: StreamHandle["onread"] | undefined;

  /** Undefined for a socket that cannot have one. */
  static open(socket: Socket): DirectChannel | undefined {
    const handle = handleOf(socket);
    return binding === undefined || handle === undefined
      ? undefined
      : new DirectChannel(socket, handle, binding);
  }

  private constructor(socket: Socket, handle: StreamHandle, streams: StreamBinding) {
    this.#socket = socket;
    this.#handle = handle;
    this.#isTls = socket instanceof TLSSocket;
    this.#binding = streams;
  }

  get paused(): boolean {
    return this.#paused;
  }

  start(onBytes: (bytes: Buffer, end: number) => void): void {
    const socket = this.#socket;
    const handle = this.#handle;
    const { streamBaseState, kReadBytesOrError } = this.#binding;
    const already = socket.read() as Buffer | null;
    const onRead = handle.onread;
    this.#onRead = onRead;
    handle.useUserBuffer(memory);
    handle.onread = (data) => {
      const count = streamBaseState[kReadBytesOrError] as number;
      // The end of the stream, and errors, are the socket's affair.
      if (count <= 0) onRead.call(handle, data);
      else if (!socket.destroyed) onBytes(memory, count);
    };
    this.resume();
    if (already !== null) {
      process.nextTick(() => {
        if (!socket.destroyed) onBytes(already, already.length);
      });
    }
  }

  pause(): void {
    this.#paused = true;
    if (this.#socket.destroyed) return;
    this.#handle.reading = false;
    this.#handle.readStop();
  }

  resume(): void {
    this.#paused = false;
    if (this.#socket.destroyed) return;
    this.#handle.reading = true;
    this.#handle.readStart();
  }

  write(bytes: Buffer, onTaken: () => void): boolean {
    if (!this.#socket.writable) return true;
    if (this.#isTls) {
      this.#socket.write(bytes, onTaken);
      return false;
    }
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = this.#binding;
    const request = (spareRequest ??= new WriteWrap());
    const error = this.#handle.writeBuffer(request, bytes);
    if (error !== 0) this.#fail(error);
    else if (streamBaseState[kLastWriteWasAsync] !== 0) {
      spareRequest = undefined;
      request.bytes = bytes;
      request.oncomplete = (status) => {
        if (status < 0) this.#fail(status);
        onTaken();
      };
      return false;
    }
    return true;
  }

  release(): void {
    const socket = this.#socket;
    const handle = this.#handle;
    const onRead = this.#onRead;
    if (onRead === undefined) return;
    const { streamBaseState, kReadBytesOrError } = this.#binding;
    // The memory stays that of the handle: the stream gets copies.
    handle.onread = (data) => {
      const count = streamBaseState[kReadBytesOrError] as number;
      if (count <= 0) onRead.call(handle, data);
      else if (!socket.destroyed && !socket.push(Buffer.from(memory.subarray(0, count)))) this.pause();
    };
    // Stopped, the stream would wait for ever for a read that it has asked for before the channel took its place.
    this.resume();
  }

  #fail(error: number): void {
    if (this.#socket.destroyed) return;
    const code = getSystemErrorName(error);
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: error, syscall: "write" }));
  }
}

function handleOf(socket: Socket): StreamHandle | undefined {
  if (!(socket instanceof Socket)) return undefined;
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<StreamHandle> | null };
  if (handle === undefined || handle === null) return undefined;
  const { onread, readStart, readStop, useUserBuffer, writeBuffer } = handle;
  const all = [onread, readStart, readStop, useUserBuffer, writeBuffer];
  return all.every((each) => typeof each === "function") ? (handle as StreamHandle) : undefined;
}

function findBinding(): StreamBinding | undefined {
  const { binding: load } = process as unknown as { binding?: (name: string) => Partial<StreamBinding> };
  try {
    const found = load?.("stream_wrap");
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = found ?? {};
    const complete =
      typeof WriteWrap === "function" &&
      streamBaseState instanceof Int32Array &&
      typeof kReadBytesOrError === "number" &&
      typeof kLastWriteWasAsync === "number";
    return complete ? (found as StreamBinding) : undefined;
  } catch {
    // Not there any more, or forbidden (--permission).
    return undefined;
  }
}
