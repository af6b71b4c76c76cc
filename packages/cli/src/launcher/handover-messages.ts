import type { ChildProcess, SendHandle } from "node:child_process";

// What a launcher and the successor of its sidecar say to each other. They may be of different versions: what one does not
// know of the other's is ignored.

/** What the launcher says. */
export type ToSuccessor =
  /** `sockets`: names of those that follow, each by `socket`. */
  | {
      readonly kind: "begin";
      readonly instanceId: string;
      readonly appPort?: number;
      readonly epoch: number;
      readonly sockets: readonly string[];
    }
  /** With what is listened by. */
  | { readonly kind: "socket"; readonly name: string }
  /** The predecessor has left the Workload API's socket and the state directory. */
  | { readonly kind: "take-over" }
  /** A successor is ready: leave the Workload API's socket. */
  | { readonly kind: "release" }
  /** The workload ends: finish inbound requests. */
  | { readonly kind: "drain" }
  /** A successor serves: finish what is under way in both directions, and end. */
  | { readonly kind: "retire"; readonly drainMs: number };

/** What the successor says. */
export type FromSuccessor =
  | { readonly kind: "hello" }
  /** With what is listened by, for the launcher to keep. */
  | { readonly kind: "socket"; readonly name: string }
  | { readonly kind: "ready"; readonly version: string; readonly addresses: object }
  | { readonly kind: "released" }
  | { readonly kind: "drained" }
  /** Somebody asked it to end. */
  | { readonly kind: "quit" };

/** The variable that tells a process that it is a successor. */
export const SUCCESSOR = "TULLE_SUCCESSOR";

/** Either end of the channel. */
type End = Pick<ChildProcess, "connected"> & Partial<Pick<ChildProcess, "send">>;

/** Says something; nothing happens when the other end is gone. */
export function say(end: End, message: ToSuccessor | FromSuccessor, handle?: object): void {
  if (!end.connected) return;
  // Listening sockets in the form that does not begin to accept on the way are none of the documented handles.
  end.send?.(message, handle as SendHandle, () => undefined);
}

/** What the launcher said, if it can be that. */
export function fromLauncher(value: unknown): ToSuccessor | undefined {
  return isMessage(value) ? (value as ToSuccessor) : undefined;
}

/** What the successor said, if it can be that. */
export function fromSuccessor(value: unknown): FromSuccessor | undefined {
  return isMessage(value) ? (value as FromSuccessor) : undefined;
}

function isMessage(value: unknown): boolean {
  return typeof value === "object" && value !== null && "kind" in value;
}
