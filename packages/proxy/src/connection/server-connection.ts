/** A connection from a client as its listener sees it, whatever protocol it speaks. */
export interface ServerConnection {
  /** Whether an exchange is under way. */
  readonly busy: boolean;
  /** Takes no more requests after those under way; without any it closes when `idleMs` have passed. */
  drain(idleMs: number): void;
  destroy(): void;
}
