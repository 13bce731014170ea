// An RLP encoder that can be told to encode wrongly, which the libraries' cannot.
// An item is bytes, a list of items, or `raw(bytes)`, which stands as it is.
export const raw = (bytes) => ({ raw: Buffer.from(bytes) });

export function rlp(item) {
  if (item.raw !== undefined) return item.raw;
  if (Array.isArray(item)) return prefixed(0xc0, Buffer.concat(item.map(rlp)));
  const bytes = Buffer.from(item);
  if (bytes.length === 1 && bytes[0] < 0x80) return bytes;
  return prefixed(0x80, bytes);
}

export function prefixed(offset, content) {
  if (content.length < 56) return Buffer.concat([Buffer.from([offset + content.length]), content]);
  const length = big(content.length);
  return Buffer.concat([Buffer.from([offset + 55 + length.length]), length, content]);
}

// The long form where the short one would do, or with zeros before the length.
export function longForm(offset, content, lengthBytes) {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([Buffer.from([offset + 55 + lengthBytes]), length, content]);
}

// Big-endian, without zeros in front; zero is empty.
export function big(value) {
  const digits = BigInt(value).toString(16);
  if (BigInt(value) === 0n) return Buffer.alloc(0);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
}
