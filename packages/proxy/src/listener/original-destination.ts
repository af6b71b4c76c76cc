import type { Socket } from "node:net";

import { MeshError } from "@tulle/base";

import type { ListenAddress } from "../options.js";
import { descriptorOf } from "../socket-descriptor.js";
import { plainAddress } from "./plain-address.js";
import { readSockaddr, SOCKADDR_IN6_BYTES, SOCKADDR_IN_BYTES } from "./sockaddr.js";

/** Where a redirected connection was made to; undefined when it was made to this listener itself. */
export type OriginalDestination = (socket: Socket) => ListenAddress | undefined;

// <linux/in.h>, <linux/in6.h>, <linux/netfilter_ipv4.h>
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;

/**
 * Loads what asks the kernel for original destinations (`getsockopt(SO_ORIGINAL_DST)`; Node.js has no call for it).
 * Rejects with `unavailable` PROXY_NO_ORIGINAL_DST where that cannot be had.
 */
export async function loadOriginalDestination(): Promise<OriginalDestination> {
  let koffi;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch (thrown) {
    throw unavailable(
      "the optional package koffi is not installed; install it, or leave out --intercept",
      thrown,
    );
  }
  if (process.platform !== "linux")
    throw unavailable("interception needs Linux; leave out --intercept", undefined);
  const getsockopt = koffi
    .load(null)
    .func("int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)") as (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    length: number[],
  ) => number;
  return (socket) => {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    // A dual-stack listener shows IPv4 peers as ::ffff:…; the kernel knows them as IPv4.
    const isV6 = socket.remoteFamily === "IPv6" && socket.remoteAddress?.startsWith("::ffff:") !== true;
    const bytes = Buffer.alloc(isV6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES);
    // Fails when nothing is tracked at all: then nothing was redirected either.
    if (getsockopt(fd, isV6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, bytes, [bytes.length]) !== 0)
      return undefined;
    const destination = readSockaddr(bytes);
    // A connection that was not redirected has its own listener for its destination.
    const isOwn =
      destination.port === socket.localPort &&
      plainAddress(destination.host) === plainAddress(socket.localAddress ?? "");
    return isOwn ? undefined : destination;
  };
}

function unavailable(what: string, cause: unknown): MeshError {
  return new MeshError("unavailable", "PROXY_NO_ORIGINAL_DST", what, cause === undefined ? {} : { cause });
}
