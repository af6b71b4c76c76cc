// A server that writes down every byte, for tests that ask what a proxy made of hostile input.
import { createRequestParser, type RequestHead } from "@tulle/http";

import { feed, Recorder } from "../../http/src/testing/record-events.js";
import { rawBackend } from "./harness.js";

/** What a strict server would act on. */
export interface ServedRequest {
  readonly head: RequestHead;
  readonly body: string;
  readonly trailers: readonly string[];
}

export interface RecordingBackend {
  readonly port: number;
  /** Everything that came, a buffer for each connection. */
  received(): readonly Buffer[];
  /** The complete requests in it; throws when there is anything that a strict parser refuses. */
  requests(): readonly ServedRequest[];
}

/** Answers every request with `answer(target)`, once it is complete. */
export async function recordingBackend(
  answer: (target: string) => string = () => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
): Promise<RecordingBackend> {
  const received: Buffer[][] = [];
  const { port } = await rawBackend((socket) => {
    const chunks: Buffer[] = [];
    received.push(chunks);
    let answered = 0;
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      const { served } = read(Buffer.concat(chunks));
      for (; answered < served.length; answered++)
        socket.write(answer(served[answered]!.head.target), "latin1");
    });
  });
  const joined = (): Buffer[] => received.map((chunks) => Buffer.concat(chunks));
  return {
    port,
    received: joined,
    requests: () =>
      joined().flatMap((bytes) => {
        const { served, error } = read(bytes);
        if (error !== undefined) throw new Error(`${error} in ${JSON.stringify(bytes.toString("latin1"))}`);
        return served;
      }),
  };
}

function read(bytes: Buffer): {
  readonly served: readonly ServedRequest[];
  readonly error: string | undefined;
} {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  feed(parser, bytes);
  const served: ServedRequest[] = [];
  let head: RequestHead | undefined;
  let body = "";
  for (const event of recorder.events) {
    if (event.type === "head") {
      head = event.head;
      body = "";
    } else if (event.type === "body") body += event.text;
    else if (head !== undefined) served.push({ head, body, trailers: event.trailers });
  }
  return { served, error: parser.error?.code };
}
