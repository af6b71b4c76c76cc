import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

import { compileProto } from "@tulle/testkit/proto";

/** The application `library.mjs`, which speaks gRPC. */
export const LIBRARY: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL("apps/library.mjs", import.meta.url)),
];

const CLIENT = fileURLToPath(new URL("../clients/grpc-web-client.mjs", import.meta.url));

/** Compiles `library.proto`; returns the file that applications and clients read as $DESCRIPTORS. */
export function libraryDescriptors(directory: string): string {
  const proto = fileURLToPath(new URL("apps/library.proto", import.meta.url));
  const file = join(directory, "library.binpb");
  writeFileSync(file, compileProto(readFileSync(proto, "utf8")));
  return file;
}

/** One call of the client. */
export interface WebCall {
  /** Of the server, without path. */
  readonly url: string;
  /** As the client's methods are called: `getBook`. */
  readonly method: string;
  /** In JSON. */
  readonly request: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** What came of it. */
export interface WebOutcome {
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/** The client `grpc-web-client.mjs` in a process of its own. */
export class GrpcWebClient {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(descriptors: string) {
    this.#child = spawn(process.execPath, [CLIENT], { env: { ...process.env, DESCRIPTORS: descriptors } });
    this.#child.stderr.pipe(process.stderr);
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** One call at a time. */
  async call(call: WebCall): Promise<WebOutcome> {
    this.#child.stdin.write(`${JSON.stringify(call)}\n`);
    const { value } = await this.#lines.next();
    return JSON.parse(String(value)) as WebOutcome;
  }

  stop(): void {
    this.#reader.close();
    this.#child.kill();
  }
}
