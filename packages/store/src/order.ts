/** Order of keys in every implementation: that of their UTF-8 bytes, which differs from JavaScript's for characters above U+FFFF. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  // Equal up to the first surrogate, code units order like bytes.
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/**
 * The smallest byte string greater than every one that begins with `prefix` (etcd's range end), or undefined when there
 * is none because every byte is 0xff.
 */
export function prefixEnd(prefix: Uint8Array): Buffer | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] ?? 0;
    if (byte < 0xff) {
      const end = Buffer.from(prefix.subarray(0, i + 1));
      end[i] = byte + 1;
      return end;
    }
  }
  return undefined;
}
