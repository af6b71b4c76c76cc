// ClientHello messages for tests, by RFC 8446 section 4.1.2.

function counted(bytes: 1 | 2 | 3, value: Buffer): Buffer {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(value.length, 0, bytes);
  return Buffer.concat([length, value]);
}

function extension(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), counted(2, value)]);
}

/** The extension `server_name` with these names, each of type host_name. */
export function serverNames(...names: readonly Buffer[]): Buffer {
  const list = names.map((name) => Buffer.concat([Buffer.from([0]), counted(2, name)]));
  return extension(0, counted(2, Buffer.concat(list)));
}

export function alpn(...protocols: readonly string[]): Buffer {
  const list = protocols.map((protocol) => counted(1, Buffer.from(protocol, "latin1")));
  return extension(16, counted(2, Buffer.concat(list)));
}

/** An extension that nobody reads. */
export function padding(bytes: number): Buffer {
  return extension(21, Buffer.alloc(bytes));
}

/** The message with its header, in no record yet. Without extensions it has not even their length. */
export function helloMessage(extensions: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    counted(1, Buffer.alloc(32)),
    counted(2, Buffer.from([0x13, 0x01])),
    counted(1, Buffer.from([0])),
    ...(extensions.length === 0 ? [] : [counted(2, Buffer.concat(extensions))]),
  ]);
  return Buffer.concat([Buffer.from([1]), counted(3, body)]);
}

/** A handshake message in records of at most `recordBytes`. */
export function inRecords(message: Buffer, recordBytes = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    const piece = message.subarray(at, at + recordBytes);
    records.push(Buffer.from([22, 3, 1]), counted(2, piece));
  }
  return Buffer.concat(records);
}

/** A ClientHello that asks for a name. */
export function clientHello(name: string): Buffer {
  return inRecords(helloMessage([alpn("h2"), serverNames(Buffer.from(name, "latin1"))]));
}
