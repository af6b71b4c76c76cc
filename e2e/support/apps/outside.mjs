// What lies outside of the mesh: an HTTP server on port 8081 of two addresses, and a DNS server on the first one that
// knows `outside.example` by both, and `public.example` by a third address.
import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import packet from "dns-packet";

const [address, address6, publicAddress] = process.argv.slice(2);

const dns = createSocket("udp4");
dns.on("message", (bytes, peer) => {
  const { id, questions } = packet.decode(bytes);
  const [{ name, type }] = questions;
  const hosts = { "outside.example": { A: address, AAAA: address6 }, "public.example": { A: publicAddress } };
  const known = name in hosts;
  const data = hosts[name]?.[type];
  const answers = known && data !== undefined ? [{ type, name, ttl: 5, data }] : [];
  const flags = packet.RECURSION_AVAILABLE | (known ? 0 : 3);
  dns.send(packet.encode({ type: "response", id, flags, questions, answers }), peer.port, peer.address);
});
dns.bind(53, address);

for (const at of [address, address6]) {
  createServer((request, response) => response.end(`outside saw ${request.headers.host}`)).listen(8081, at);
}
