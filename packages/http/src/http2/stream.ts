/** What a stream that cannot send waits for. */
export const Waiting = {
  NOTHING: 0,
  /** Its own window. */
  WINDOW: 1,
  /** The connection's window, or room in the output. */
  CONNECTION: 2,
} as const;

/** State of one stream. All fields are set here: every stream has the same shape. */
export class Stream {
  readonly id: number;
  readonly openedMs: number;
  /** What we may send, negative after the peer made its windows smaller. */
  sendWindow: number;
  /** What the peer may send. */
  receiveWindow: number;
  /** Received and not yet consumed by the application. */
  unconsumed = 0;
  /** Consumed and not yet announced to the peer. */
  uncredited = 0;
  /** END_STREAM went out. */
  localEnded = false;
  /** END_STREAM came in. */
  remoteEnded = false;
  /** Removed from the table: whatever still refers to it must leave it alone. */
  gone = false;
  /** Client: the final response head came. Server: always. */
  headReceived: boolean;
  /** Body bytes that content-length still promises, -1 when it says nothing. */
  bodyLeft = -1;
  /** Client: the response has no content (HEAD, 204, 304). */
  bodyless = false;
  /** Client: the request's method changes how its response is read. */
  isHead = false;
  /** A tunnel, or one that is asked for. */
  isConnect = false;
  interims = 0;
  waiting: number = Waiting.NOTHING;
  /** Since when a window of the peer has held up bytes on offer; -1 when none does. */
  stalledSinceMs = -1;
  /** Server: since when the response is out and the request still comes; -1 when it does not linger. */
  lingersSinceMs = -1;

  constructor(
    id: number,
    openedMs: number,
    sendWindow: number,
    receiveWindow: number,
    headReceived: boolean,
  ) {
    this.id = id;
    this.openedMs = openedMs;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.headReceived = headReceived;
  }
}
