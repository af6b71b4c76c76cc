import { BlockList, isIP, type Socket } from "node:net";

import { MeshError, type TimerWheel } from "@tulle/base";
import type { ProxyTlv, SnapshotSource, TlvChoice } from "@tulle/engine";

import { HANDSHAKE_RECORD } from "../detection/client-hello.js";
import type { ListenAddress } from "../options.js";
import { V1_SIGNATURE, V2_SIGNATURE, type ProxyProtocolVersion } from "../proxy-protocol/header.js";
import { ProxyHeaderReader, type Beginning } from "../proxy-protocol/reader.js";
import { INBOUND_LISTENER } from "./inbound-source.js";
import { plainAddress } from "./plain-address.js";

/** A header must have come within. */
const HEADER_TIMEOUT_MS = 10_000;
/** Of a signature, as many bytes as no request begins with. */
const TELLING_BYTES = 5;

/** What is asked of a connection from somebody who may say whom it is for. */
export interface HeaderDemand {
  /** Which connections must begin with a header; `plaintext`: all but those that begin with TLS. */
  readonly required: "always" | "plaintext" | "never";
  readonly versions: readonly ProxyProtocolVersion[];
  /** Of which TLVs endpoints may be told; undefined = of none. */
  readonly passedTlvs: TlvChoice | undefined;
}

/** What becomes of a connection whose beginning is read. Exactly one is called, later, unless the connection closes. */
export interface HeaderOwner {
  /**
   * `client`: who the header says is at the other end; undefined: the connection's own peer. `tlvs`: what it says besides, as far
   * as endpoints may be told. What follows is put back.
   */
  onPassed(client: ListenAddress | undefined, tlvs: readonly ProxyTlv[] | undefined): void;
  onRefused(): void;
}

/**
 * Believes PROXY headers (versions 1 and 2) from those who are trusted, and from nobody else. Who is trusted is the
 * sidecar's own setting; without it the listener's filter may trust everybody, as Envoy does.
 */
export class ProxyHeaderGate {
  readonly #trusted: BlockList | undefined;
  readonly #configuration: SnapshotSource;
  readonly #wheel: TimerWheel;

  /** `trusted`: networks such as `10.0.0.0/8`; undefined = nothing is said. Throws `invalid` PROXY_BAD_NETWORK. */
  constructor(trusted: readonly string[] | undefined, configuration: SnapshotSource, wheel: TimerWheel) {
    this.#trusted = trusted && networksOf(trusted);
    this.#configuration = configuration;
    this.#wheel = wheel;
  }

  /** What is asked of a connection; undefined: it is none of those that may begin with a header. */
  demandOf(socket: Socket): HeaderDemand | undefined {
    const filter = this.#filter;
    if (filter === undefined && this.#trusted === undefined) return undefined;
    if (this.#trusted !== undefined && !contains(this.#trusted, socket.remoteAddress ?? "")) return undefined;
    const required = filter === undefined ? "plaintext" : filter.required ? "always" : "never";
    return { required, versions: filter?.versions ?? [1, 2], passedTlvs: filter?.passedTlvs };
  }

  /** Whether the first bytes of a connection that no header is taken from are one: its sender wants to be believed. */
  isPretence(first: Buffer): boolean {
    if (this.#trusted === undefined && this.#filter === undefined) return false;
    return [V1_SIGNATURE, V2_SIGNATURE].some(
      (signature) =>
        first.length >= TELLING_BYTES &&
        signature.subarray(0, first.length).equals(first.subarray(0, signature.length)),
    );
  }

  /** Reads the beginning of a connection. Whoever takes it then resumes it. */
  read(socket: Socket, demand: HeaderDemand, owner: HeaderOwner): void {
    const reader = new ProxyHeaderReader();
    const finish = (): void => {
      timer.disarm();
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("close", finish);
      socket.pause();
    };
    const timer = this.#wheel.timer(() => {
      finish();
      owner.onRefused();
    });
    const onData = (piece: Buffer): void => {
      const beginning = tryPush(reader, piece);
      if (beginning === undefined) return;
      finish();
      if (beginning === "malformed" || !isAllowed(beginning, demand)) {
        owner.onRefused();
        return;
      }
      if (beginning.rest.length > 0) socket.unshift(beginning.rest);
      const { header } = beginning;
      owner.onPassed(header?.addresses?.source, passedOf(header?.tlvs, demand.passedTlvs));
    };
    // A health check by TCP: connects and leaves.
    const onEnd = (): void => {
      socket.destroy();
    };
    timer.arm(HEADER_TIMEOUT_MS);
    socket.on("data", onData);
    socket.once("end", onEnd);
    socket.once("close", finish);
  }

  get #filter() {
    return this.#configuration.current.inbound(INBOUND_LISTENER)?.proxyProtocol;
  }
}

function tryPush(reader: ProxyHeaderReader, piece: Buffer): Beginning | "malformed" | undefined {
  try {
    return reader.push(piece);
  } catch {
    return "malformed";
  }
}

function isAllowed({ header, rest }: Beginning, { required, versions }: HeaderDemand): boolean {
  if (header !== undefined) return versions.includes(header.version);
  return required === "never" || (required === "plaintext" && rest[0] === HANDSHAKE_RECORD);
}

function passedOf(tlvs: readonly ProxyTlv[] | undefined, passed: TlvChoice | undefined) {
  if (passed === undefined || passed === "all") return passed && tlvs;
  return tlvs?.filter(({ type }) => passed.has(type));
}

function networksOf(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = "", length] = text.split("/");
    const family = isIP(address);
    try {
      const bits = length === undefined ? (family === 6 ? 128 : 32) : Number(length);
      list.addSubnet(address, bits, family === 6 ? "ipv6" : "ipv4");
    } catch (thrown) {
      throw new MeshError("invalid", "PROXY_BAD_NETWORK", `${text} is no network such as 10.0.0.0/8`, {
        cause: thrown,
      });
    }
  }
  return list;
}

function contains(networks: BlockList, address: string): boolean {
  const plain = plainAddress(address);
  const family = isIP(plain);
  return family !== 0 && networks.check(plain, family === 6 ? "ipv6" : "ipv4");
}
