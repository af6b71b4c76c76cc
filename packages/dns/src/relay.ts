/** A message with another id: what goes to a server, and what comes back to its client. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** The response code of an answer, without EDNS' upper bits. */
export function rcodeOf(answer: Buffer): number {
  return answer.readUInt16BE(2) & 0xf;
}

/**
 * Whether bytes are an answer to this very query: its id, and its one question in the same spelling, letter case included
 * (RFC 5452 section 3). Everything else that comes to our port is a guess of somebody's.
 */
export function isAnswerTo(answer: Buffer, id: number, question: Buffer): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id) return false;
  const flags = answer.readUInt16BE(2);
  const isResponse = (flags & 0x8000) !== 0 && (flags & 0x7800) === 0;
  if (!isResponse) return false;
  const questions = answer.readUInt16BE(4);
  // A server that could not read the query cannot repeat its question.
  if (questions === 0) return rcodeOf(answer) !== 0;
  return questions === 1 && answer.subarray(12, 12 + question.length).equals(question);
}
