/** Output of a container without a terminal: frames of one byte for the stream, three zeros, four for the length, big endian. Pure. */
const HEADER = 8;
const STDOUT = 1;

/** What was written to standard output. A frame that was cut off counts as far as it came. */
export function stdoutOf(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const end = at + HEADER + bytes.readUInt32BE(at + 4);
    if (bytes[at] === STDOUT) parts.push(bytes.subarray(at + HEADER, end));
    at = end;
  }
  return Buffer.concat(parts).toString('utf8');
}
