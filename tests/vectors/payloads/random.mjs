// Random values that are the same in every run: SHA-256 of a label and a counter.
// Each case draws from a source of its own, so that a new case changes no other.
import { createHash } from "node:crypto";

const SEED = "countersign payload vectors, format 1: not secret";

export class Random {
  #label;
  #counter = 0;
  #rest = Buffer.alloc(0);

  constructor(label) {
    this.#label = label;
  }

  bytes(length) {
    while (this.#rest.length < length) {
      const block = createHash("sha256").update(`${SEED}\n${this.#label}\n${this.#counter++}`);
      this.#rest = Buffer.concat([this.#rest, block.digest()]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }

  hex(length) {
    return `0x${this.bytes(length).toString("hex")}`;
  }

  // Of at most so many bits.
  integer(bits) {
    const bytes = Math.ceil(bits / 8);
    return BigInt(this.hex(bytes)) & ((1n << BigInt(bits)) - 1n);
  }

  // Below 2^32: the bias of the remainder does not matter here.
  below(limit) {
    return this.bytes(4).readUInt32BE() % limit;
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}

// A private key that everybody can compute. It guards nothing.
export function publishedKey(name) {
  return new Random(`key ${name}`).hex(32);
}
