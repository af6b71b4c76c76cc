import type { Socket } from "node:net";

import type { Logger } from "@tulle/base";
import type { ConnectionSettings } from "@tulle/engine";

import { descriptorOf } from "../socket-descriptor.js";

// <netinet/in.h>, <netinet/tcp.h>
const IPPROTO_TCP = 6;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
/** Linux refuses more probes. */
const MAX_PROBES = 127;

/** Sets an option of a socket that is a whole number; false when the system refuses. */
type SetOption = (descriptor: number, level: number, option: number, value: number) => boolean;

/**
 * Has the kernel ask whether connections to endpoints still live (SO_KEEPALIVE). Node.js knows the time before the first
 * probe; how many there are and how far apart is told to the kernel by the optional package koffi, on Linux. Without it
 * the system's own values hold, and the log says so once.
 */
export class KeepAlive {
  readonly #logger: Logger;
  readonly #load: () => Promise<SetOption>;
  #setOption: Promise<SetOption | undefined> | undefined;

  /** `load` gives the system call, and rejects where it cannot be had. */
  constructor(logger: Logger, load: () => Promise<SetOption> = loadSetOption) {
    this.#logger = logger;
    this.#load = load;
  }

  /** `socket` is connected. Does nothing where the settings do not ask for it. */
  apply(socket: Socket, settings: ConnectionSettings): void {
    const { keepAliveMs, keepAliveProbes: probes, keepAliveIntervalSeconds: interval } = settings;
    if (keepAliveMs === undefined) return;
    socket.setKeepAlive(true, keepAliveMs);
    if (probes === undefined && interval === undefined) return;
    this.#setOption ??= this.#load().catch((error: unknown) => {
      this.#logger.warn(
        "tcpKeepalive: probes and interval of connections are the system's own; install the optional package koffi (Linux) to set them",
        { error },
      );
      return undefined;
    });
    void this.#setOption.then((set) => {
      const descriptor = descriptorOf(socket);
      if (set === undefined || descriptor === undefined) return;
      if (probes !== undefined) set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, Math.min(probes, MAX_PROBES));
      if (interval !== undefined) set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    });
  }
}

async function loadSetOption(): Promise<SetOption> {
  if (process.platform !== "linux") throw new Error(`there is no such call for ${process.platform}`);
  const { default: koffi } = await import("koffi");
  const setsockopt = koffi
    .load(null)
    .func("int setsockopt(int fd, int level, int name, const int *value, uint32_t length)") as (
    fd: number,
    level: number,
    name: number,
    value: readonly number[],
    length: number,
  ) => number;
  return (descriptor, level, option, value) => setsockopt(descriptor, level, option, [value], 4) === 0;
}
