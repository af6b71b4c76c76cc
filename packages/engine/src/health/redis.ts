import { getTextEncoding } from "@bufbuild/protobuf/wire";

/** A simple string, an error or a number is shorter; what is longer is no answer to what was asked. */
const MAX_REPLY = 512;

/** What is sent: PING, or EXISTS of a key (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/). */
export function redisCommand(key: string): Uint8Array {
  const { encodeUtf8 } = getTextEncoding();
  const words = key === "" ? ["PING"] : ["EXISTS", key];
  const parts = words.map((word) => `$${encodeUtf8(word).length}\r\n${word}\r\n`);
  return encodeUtf8(`*${words.length}\r\n${parts.join("")}`);
}

/** Reads the answer, however it is split. */
export class RedisReply {
  readonly #key: string;
  #text = "";

  constructor(key: string) {
    this.#key = key;
  }

  /** Looks at the next bytes. What is wrong with the answer, "" for nothing; undefined while it is not complete. */
  push(bytes: Uint8Array): string | undefined {
    for (const byte of bytes) {
      if (byte === 0x0a && this.#text.endsWith("\r")) return this.#judge(this.#text.slice(0, -1));
      this.#text += String.fromCharCode(byte);
      if (this.#text.length > MAX_REPLY) return "its answer is not Redis'";
    }
    return undefined;
  }

  #judge(line: string): string {
    const wanted = this.#key === "" ? "+PONG" : ":0";
    if (line === wanted) return "";
    if (this.#key !== "" && line === ":1") return `it has the key ${this.#key}`;
    return `it answered ${JSON.stringify(line.slice(0, 100))}`;
  }
}
