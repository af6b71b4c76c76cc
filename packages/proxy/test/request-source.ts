import type { RequestSource } from "../src/stream/contract.js";

/** Where the requests of a connection come from that is tested alone. */
export const source: RequestSource = {
  ownCaller: true,
  direction: "outbound",
  fixedAuthority: "",
  localAddress: "",
  remoteAddress: "",
  isOwnAddress: () => false,
  peerSpiffeId: "",
  forwardedClientCert: "",
  forwardedFor: "",
  serverName: "",
  secure: false,
  peerOf: () => undefined,
  chain: () => undefined,
  connects: undefined,
  revoked: false,
  closing: false,
};
