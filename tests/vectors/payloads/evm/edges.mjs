// Requests at the edges of what each field can say. Gas and fees end at 2^63 - 1, which
// is the most that Cedar compares, and a nonce at 2^53 - 1, where the libraries end.
import { Random } from "../random.mjs";

const ETHER = 10n ** 18n;

export const VALUES = [0n, 1n, 127n, 128n, 255n, 256n, ETHER, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n, 2n ** 255n, 2n ** 256n - 1n];
export const NONCES = [1n, 127n, 128n, 255n, 256n, 65_535n, 2n ** 32n, 2n ** 53n - 1n];
export const GAS = [0n, 1n, 30_000_000n, 2n ** 53n, 2n ** 63n - 1n];
export const FEES = [
  { maxFee: 0n, priorityFee: 0n, blobFee: 0n },
  { maxFee: 1n, priorityFee: 0n, blobFee: 1n },
  { maxFee: 7n, priorityFee: 7n, blobFee: 2n ** 32n },
  { maxFee: 2n ** 53n, priorityFee: 2n ** 53n - 1n, blobFee: 2n ** 53n },
  { maxFee: 2n ** 63n - 1n, priorityFee: 2n ** 63n - 1n, blobFee: 2n ** 63n - 1n },
];
export const CHAINS = [1n, 10n, 137n, 8453n, 11_155_111n, 2n ** 31n - 1n, 2n ** 53n - 1n];
// EIP-2294: the largest chain id. Only ethers goes so far.
export const LARGEST_CHAIN = (2n ** 64n - 1n) / 2n - 36n;

export const RECIPIENTS = [
  "0x0000000000000000000000000000000000000000",
  "0x0000000000000000000000000000000000000001",
  "0xdAC17F958D2ee523a2206206994597C13D831ec7",
  "0xffffffffffffffffffffffffffffffffffffffff",
];

// Lengths around RLP's short and long forms, and around a selector.
export const DATA = [1, 3, 4, 5, 55, 56, 57, 255, 256, 1500].map((length) => new Random(`data ${length}`).hex(length));
// One byte below 0x80 is its own encoding.
export const SINGLE_BYTES = ["0x00", "0x7f", "0x80", "0xff"];

const random = new Random("access lists");
const entry = (keys) => ({
  address: random.hex(20),
  storageKeys: Array.from({ length: keys }, () => random.hex(32)),
});
const twice = entry(1);
export const ACCESS_LISTS = [
  [entry(0)],
  [entry(2)],
  [entry(1), entry(0), entry(3)],
  [twice, entry(0), twice],
  Array.from({ length: 12 }, () => entry(0)),
];

const authority = (chainId, nonce) => ({ chainId, address: random.hex(20), nonce });
const again = authority(1n, 7n);
export const AUTHORIZATIONS = [
  [authority(1n, 0n)],
  // Chain id 0 holds on every chain.
  [authority(0n, 0n)],
  [authority(1n, 1n), authority(0n, 128n), authority(10n, 2n ** 32n)],
  [again, again],
  [{ ...authority(8453n, 0n), address: RECIPIENTS[0] }],
  [authority(2n ** 53n - 1n, 2n ** 53n - 1n)],
  Array.from({ length: 8 }, (_, index) => authority(BigInt(index), BigInt(index))),
];

export const BLOBS = [1, 2, 6, 9].map((count) =>
  Array.from({ length: count }, () => `0x01${random.hex(31).slice(2)}`),
);
