import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An application in the test's own process: the test says what it answers, and sees what it was asked. */
export class ScriptedApp {
  /** Requests since the last `script`. */
  readonly requests: IncomingMessage[] = [];
  readonly port: number;
  readonly #close: () => void;
  #listener: RequestListener = (_request, response) => void response.end("ok");

  private constructor(port: number, close: () => void) {
    this.port = port;
    this.#close = close;
  }

  static async listen(): Promise<ScriptedApp> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const app = new ScriptedApp((server.address() as AddressInfo).port, () => {
      server.closeAllConnections();
      server.close();
    });
    server.on("request", (request, response) => app.#onRequest(request, response));
    return app;
  }

  /** What it does from now on. */
  script(listener: RequestListener): void {
    this.requests.length = 0;
    this.#listener = listener;
  }

  close(): void {
    this.#close();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(request);
    request.resume();
    response.on("error", () => undefined);
    this.#listener(request, response);
  }
}
