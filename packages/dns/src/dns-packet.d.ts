/** The part of dns-packet 5 that this package uses; the library ships no types. */
declare module "dns-packet" {
  interface Encoder<T> {
    /** Writes length and RDATA at `offset`; `encode.bytes` is then their length together. */
    encode: { (data: T, buffer?: Buffer, offset?: number): Buffer; bytes: number };
  }
  interface SrvData {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  }
  interface SoaData {
    readonly mname: string;
    readonly rname: string;
    readonly serial: number;
    readonly refresh: number;
    readonly retry: number;
    readonly expire: number;
    readonly minimum: number;
  }
  interface DecodedRecord {
    readonly name: string;
    readonly type: string;
    readonly ttl?: number;
    readonly data?: unknown;
    readonly udpPayloadSize?: number;
    readonly ednsVersion?: number;
    readonly extendedRcode?: number;
    readonly flag_do?: boolean;
  }
  interface DecodedPacket {
    readonly id: number;
    readonly type: "query" | "response";
    readonly rcode: string;
    readonly flag_aa: boolean;
    readonly flag_tc: boolean;
    readonly flag_rd: boolean;
    readonly questions: readonly { readonly name: string; readonly type: string; readonly class: string }[];
    readonly answers: readonly DecodedRecord[];
    readonly authorities: readonly DecodedRecord[];
    readonly additionals: readonly DecodedRecord[];
  }
  interface PacketToEncode {
    readonly type?: "query" | "response";
    readonly id?: number;
    readonly flags?: number;
    readonly questions?: readonly { readonly name: string; readonly type: string; readonly class?: string }[];
    readonly answers?: readonly unknown[];
    readonly additionals?: readonly unknown[];
  }
  const packet: {
    readonly RECURSION_DESIRED: number;
    encode(packet: PacketToEncode): Buffer;
    decode(bytes: Buffer): DecodedPacket;
    readonly answer: {
      decode: { (buffer: Buffer, offset: number): DecodedRecord; bytes: number };
    };
    readonly unknown: Encoder<Buffer>;
    readonly ns: Encoder<string>;
    readonly cname: Encoder<string>;
    readonly srv: Encoder<SrvData>;
    readonly soa: Encoder<SoaData>;
    readonly txt: Encoder<readonly string[]>;
  };
  export default packet;
}
