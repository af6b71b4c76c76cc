import type { Http2PeerSettings, Http2Refusal } from "./contract.js";
import { Setting, readUint32 } from "./frame.js";
import {
  INITIAL_FRAME_BYTES,
  INITIAL_TABLE_BYTES,
  INITIAL_WINDOW,
  MAX_WINDOW,
  type CompleteOptions,
} from "./limits.js";
import { REFUSALS } from "./refusals.js";

/** The peer's settings (RFC 9113 section 6.5.2), as they are after its last SETTINGS. */
export class PeerSettings implements Http2PeerSettings {
  headerTableBytes = INITIAL_TABLE_BYTES;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowBytes = INITIAL_WINDOW;
  maxFrameBytes = INITIAL_FRAME_BYTES;
  maxHeaderListBytes = Number.POSITIVE_INFINITY;
  enableConnectProtocol = false;
  /** Smallest table size named in the last SETTINGS: the encoder must go below it before it goes above. */
  smallestTableBytes = INITIAL_TABLE_BYTES;

  /** Applies the payload `bytes[start, end)`, whose length is a multiple of six. */
  apply(bytes: Buffer, start: number, end: number, fromServer: boolean): Http2Refusal | undefined {
    this.smallestTableBytes = Number.POSITIVE_INFINITY;
    for (let at = start; at < end; at += 6) {
      const refusal = this.#set((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2), fromServer);
      if (refusal !== undefined) return refusal;
    }
    this.smallestTableBytes = Math.min(this.smallestTableBytes, this.headerTableBytes);
    return undefined;
  }

  #set(setting: number, value: number, fromServer: boolean): Http2Refusal | undefined {
    switch (setting) {
      case Setting.HEADER_TABLE_SIZE: {
        this.headerTableBytes = value;
        this.smallestTableBytes = Math.min(this.smallestTableBytes, value);
        return undefined;
      }
      case Setting.ENABLE_PUSH: {
        // A server must not offer to be pushed to.
        return value > 1 || (fromServer && value === 1) ? REFUSALS.setting : undefined;
      }
      case Setting.MAX_CONCURRENT_STREAMS: {
        this.maxConcurrentStreams = value;
        return undefined;
      }
      case Setting.INITIAL_WINDOW_SIZE: {
        if (value > MAX_WINDOW) return REFUSALS.settingWindow;
        this.initialWindowBytes = value;
        return undefined;
      }
      case Setting.MAX_FRAME_SIZE: {
        if (value < INITIAL_FRAME_BYTES || value > 0xff_ffff) return REFUSALS.setting;
        this.maxFrameBytes = value;
        return undefined;
      }
      case Setting.MAX_HEADER_LIST_SIZE: {
        this.maxHeaderListBytes = value;
        return undefined;
      }
      case Setting.ENABLE_CONNECT_PROTOCOL: {
        if (value > 1 || (value === 0 && this.enableConnectProtocol)) return REFUSALS.setting;
        this.enableConnectProtocol = value === 1;
        return undefined;
      }
      default: {
        return undefined;
      }
    }
  }
}

/** Our SETTINGS, as identifier and value in turn: only what differs from the protocol's defaults. */
export function ownSettings(options: CompleteOptions, isServer: boolean): number[] {
  const { limits } = options;
  const pairs = [Setting.INITIAL_WINDOW_SIZE, options.streamWindowBytes];
  pairs.push(Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes);
  if (options.headerTableBytes !== INITIAL_TABLE_BYTES)
    pairs.push(Setting.HEADER_TABLE_SIZE, options.headerTableBytes);
  if (options.maxFrameBytes !== INITIAL_FRAME_BYTES)
    pairs.push(Setting.MAX_FRAME_SIZE, options.maxFrameBytes);
  if (!isServer) {
    pairs.push(Setting.ENABLE_PUSH, 0);
    return pairs;
  }
  pairs.push(Setting.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams);
  if (options.enableConnectProtocol) pairs.push(Setting.ENABLE_CONNECT_PROTOCOL, 1);
  return pairs;
}
