import { lookup } from "node:dns/promises";
import { isIP, type ListenOptions, type Server } from "node:net";
import { getSystemErrorName } from "node:util";

import { MeshError } from "@tulle/base";

import { AF_INET, AF_INET6, writeSockaddr } from "../listener/sockaddr.js";
import { startListening, type StartListening } from "../listener/tcp-listener.js";

// <asm-generic/socket.h>, <linux/in.h>, <linux/in6.h>, <bits/socket_type.h>
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** The system calls that a listening socket is made with. Each gives -1 when it fails. */
interface SocketCalls {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  close(fd: number): number;
  errno(): number;
}

/**
 * Makes a server listen on a port that other threads listen on, too (`SO_REUSEPORT`): the kernel spreads connections
 * over them. By Node.js' own option from 22.12 on, and by the optional package koffi before. Rejects with
 * `unavailable` PROXY_NO_SHARED_PORTS where there is neither.
 */
export const startOnSharedPort: StartListening = async (server, at) => {
  if (process.platform !== "linux") throw unavailable("needs Linux", undefined);
  if (hasReusePort(process.versions.node)) {
    const options: ListenOptions & { readonly reusePort: boolean } = { ...at, reusePort: true };
    return startListening(server, options);
  }
  const calls = await loadSocketCalls();
  const host = isIP(at.host) === 0 ? (await lookup(at.host)).address : at.host;
  return startOnDescriptor(server, boundSocket(calls, host, at.port), at.backlog);
};

/** Whether `server.listen` of a version of Node.js knows `reusePort`. */
export function hasReusePort(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

async function loadSocketCalls(): Promise<SocketCalls> {
  let koffi;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch (thrown) {
    throw unavailable("needs Node.js 22.12 or newer, or the optional package koffi: install one", thrown);
  }
  const library = koffi.load(null);
  return {
    socket: library.func("int socket(int domain, int type, int protocol)"),
    setsockopt: library.func(
      "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)",
    ),
    bind: library.func("int bind(int fd, const uint8_t *address, uint32_t length)"),
    close: library.func("int close(int fd)"),
    errno: () => koffi.errno(),
  };
}

/** The descriptor of a socket that is bound and does not listen yet, with the options that Node.js itself sets. */
function boundSocket(calls: SocketCalls, host: string, port: number): number {
  const isV6 = isIP(host) === 6;
  const fd = calls.socket(isV6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError("socket", calls.errno());
  const address = writeSockaddr(host, port);
  const failed =
    calls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, integer(1), 4) < 0 ||
    calls.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, integer(1), 4) < 0 ||
    (isV6 && calls.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, integer(0), 4) < 0) ||
    calls.bind(fd, address, address.length) < 0;
  if (!failed) return fd;
  const errno = calls.errno();
  calls.close(fd);
  throw systemError("bind", errno);
}

function startOnDescriptor(server: Server, fd: number, backlog: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // Node.js takes the backlog of a descriptor from here only.
    server.listen({ fd }, backlog, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function systemError(call: string, errno: number): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code}`), { code });
}

function unavailable(what: string, cause: unknown): MeshError {
  const message = `more than one worker ${what}, or leave out --workers`;
  return new MeshError("unavailable", "PROXY_NO_SHARED_PORTS", message, cause === undefined ? {} : { cause });
}
