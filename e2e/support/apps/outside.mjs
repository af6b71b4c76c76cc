// What lies outside of the mesh: an HTTP server on port 8081, and a DNS server that knows `outside.example`.
import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import packet from "dns-packet";

const [address] = process.argv.slice(2);

const dns = createSocket("udp4");
dns.on("message", (bytes, peer) => {
  const { id, questions } = packet.decode(bytes);
  const [{ name, type }] = questions;
  const known = name === "outside.example";
  const answers = known && type === "A" ? [{ type, name, ttl: 5, data: address }] : [];
  const flags = packet.RECURSION_AVAILABLE | (known ? 0 : 3);
  dns.send(packet.encode({ type: "response", id, flags, questions, answers }), peer.port, peer.address);
});
dns.bind(53, address);

createServer((request, response) => response.end(`outside saw ${request.headers.host}`)).listen(
  8081,
  address,
);
