import { isIP, type Socket } from "node:net";

import { mayConnectFor } from "@tulle/base";

/** Applications beside the control plane are checked on loopback; a workload's check may not name it (`facades/consul/rights.ts`). */
const POLICY = { loopback: true };

/*
 * Whoever may register makes this process connect: not to the link, where clouds have their metadata services, nor to what
 * is no host.
 */

/** Throws when `host` is the literal of an address that is not asked. Before a connection is made. */
export function refuseBadLiteral(host: string): void {
  const literal = host.replace(/^\[|\]$/g, "");
  if (isIP(literal.replace(/%.*$/, "")) !== 0 && !mayConnectFor(literal, POLICY)) throw refusal(literal);
}

/**
 * Ends a connection when its host's name turns out to mean such an address. Looked at between resolving and connecting, so
 * that no name can mean something else the second time.
 */
export function refuseBadAddresses(socket: Socket): void {
  socket.on("lookup", (error: Error | null, address: string) => {
    if (error === null && !mayConnectFor(address, POLICY)) socket.destroy(refusal(address));
  });
}

function refusal(address: string): Error {
  return new Error(`${address} is not asked: it is no host's own address`);
}
