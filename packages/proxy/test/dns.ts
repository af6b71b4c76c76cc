import { createSocket } from "node:dgram";

/** A query for one name; type A unless another number is given. */
export function dnsQuery(name: string, type = 1, id = 7): Buffer {
  const labels = name.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.from([0, type >> 8, type & 0xff, 0, 1])]);
}

/** The query as an answer: with this code, and one A record when there is an address. */
export function dnsAnswer(query: Buffer, address: string | undefined, rcode = 0): Buffer {
  const copy = Buffer.from(query);
  copy[2] = 0x81;
  copy[3] = 0x80 | rcode;
  if (address === undefined) return copy;
  copy[7] = 1;
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...address.split(".").map(Number)];
  return Buffer.concat([copy, Buffer.from(record)]);
}

/** A DNS server over UDP that answers by `reply`; several messages for one query are allowed. */
export async function dnsBackend(
  reply: (query: Buffer) => readonly Buffer[],
): Promise<{ readonly host: string; readonly port: number; readonly close: () => void }> {
  const socket = createSocket("udp4");
  socket.on("message", (query, peer) => {
    for (const answer of reply(query)) socket.send(answer, peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { host: "127.0.0.1", port: socket.address().port, close: () => socket.close() };
}
