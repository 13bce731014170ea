// Transactions that must not be signed: what is bent in the fields of each type, and
// what is no unsigned transaction at all.
import { keccak256 } from "viem";
import { Random } from "../random.mjs";
import { viewOfEthers, viewOfViem } from "../evm/view.mjs";
import { ETHERS, VIEM } from "../libraries.mjs";
import { LARGEST_CHAIN } from "../evm/edges.mjs";
import { big, longForm, raw, rlp } from "./rlp.mjs";

const random = new Random("refused transactions");
const TO = random.bytes(20);
const KEY = random.bytes(32);
const BLOB = Buffer.concat([Buffer.from([1]), random.bytes(31)]);
const AUTHORIZATION = [big(1), TO, big(3), big(1), random.bytes(32), Buffer.concat([Buffer.from([1]), random.bytes(31)])];
const SIGNATURE = [big(1), AUTHORIZATION[4], AUTHORIZATION[5]];

const HEAD = { chain: big(1), nonce: big(9) };
const FEES = { priority: big(1_000_000_000), fee: big(30_000_000_000) };
const BODY = { gas: big(90_000), to: TO, value: big(10n ** 18n), data: Buffer.from("a9059cbb01", "hex") };
const ACCESS = { access: [[TO, [KEY]]] };

// The fields of each type, in order. `prefix` is the type's byte.
const TYPES = {
  legacy: { prefix: [], fields: { nonce: big(9), fee: FEES.fee, ...BODY, chain: big(1), r: big(0), s: big(0) } },
  eip2930: { prefix: [1], fields: { ...HEAD, fee: FEES.fee, ...BODY, ...ACCESS } },
  eip1559: { prefix: [2], fields: { ...HEAD, ...FEES, ...BODY, ...ACCESS } },
  eip4844: { prefix: [3], fields: { ...HEAD, ...FEES, ...BODY, ...ACCESS, blobFee: big(7), blobs: [BLOB] } },
  eip7702: { prefix: [4], fields: { ...HEAD, ...FEES, ...BODY, ...ACCESS, authorizations: [AUTHORIZATION] } },
};

export function refusedTransactions() {
  const cases = [];
  for (const [type, { prefix, fields }] of Object.entries(TYPES)) {
    const whole = (fields) => Buffer.concat([Buffer.from(prefix), rlp(Object.values(fields))]);
    requireSound(whole(fields));
    const add = (group, why, bytes) => cases.push(refused(group, `${type}: ${why}`, bytes));
    for (const [group, why, bent] of fieldsBent(type, fields)) add(group, why, whole({ ...fields, ...bent }));
    for (const [group, why, bytes] of wholesBent(prefix, fields)) add(group, why, bytes);
  }
  for (const [group, why, bytes] of strangers()) cases.push(refused(group, why, bytes));
  return cases;
}

function refused(group, why, bytes) {
  const hex = `0x${bytes.toString("hex")}`;
  return { kind: "evm_transaction", group, why, hex, accepted_by: readers(hex) };
}

// Who reads it as an unsigned transaction all the same.
function readers(hex) {
  const reads = (view) => {
    try {
      view(hex);
      return true;
    } catch {
      return false;
    }
  };
  return [[VIEM, viewOfViem], [ETHERS, viewOfEthers]].filter(([, view]) => reads(view)).map(([name]) => name);
}

function requireSound(bytes) {
  const hex = `0x${bytes.toString("hex")}`;
  if (JSON.stringify(viewOfViem(hex)) !== JSON.stringify(viewOfEthers(hex))) throw new Error(`unsound: ${hex}`);
}

function* fieldsBent(type, fields) {
  const zeroFirst = (bytes) => Buffer.concat([Buffer.from([0]), bytes]);
  const names = { chain: "chain id", nonce: "nonce", fee: "fee cap", gas: "gas", value: "value" };
  for (const [field, name] of Object.entries(names)) {
    yield ["rlp", `${name} with a zero in front`, { [field]: zeroFirst(fields[field]) }];
    yield ["rlp", `${name} is a list`, { [field]: [fields[field]] }];
  }
  for (const field of ["nonce", "value"]) {
    yield ["rlp", `${names[field]} zero as a byte`, { [field]: raw([0]) }];
    yield ["rlp", `${names[field]} with a length that one byte does not need`, { [field]: raw([0x81, 9]) }];
  }
  yield ["rlp", "value with the long form of a short length", { value: raw(longForm(0x80, fields.value, 1)) }];
  yield ["rlp", "data is a list", { data: [] }];
  yield ["bounds", "nonce of 2^63", { nonce: big(2n ** 63n) }];
  yield ["bounds", "nonce of 2^64", { nonce: big(2n ** 64n) }];
  yield ["bounds", "gas of 2^63", { gas: big(2n ** 63n) }];
  yield ["bounds", "gas of 2^64", { gas: big(2n ** 64n) }];
  yield ["bounds", "fee cap of 2^63", { fee: big(2n ** 63n) }];
  yield ["bounds", "fee cap of 2^128", { fee: big(2n ** 128n) }];
  yield ["bounds", "fee cap of 2^256", { fee: big(2n ** 256n) }];
  yield ["bounds", "value of 2^256", { value: big(2n ** 256n) }];
  yield ["chain id", "chain id 0", { chain: big(0) }];
  yield ["chain id", "chain id above the bound of EIP-2294", { chain: big(LARGEST_CHAIN + 1n) }];
  yield ["chain id", "chain id 2^64 + 1, which is 1 to whoever cuts", { chain: big(2n ** 64n + 1n) }];
  yield ["address", "recipient of 19 bytes", { to: TO.subarray(1) }];
  yield ["address", "recipient of 21 bytes", { to: zeroFirst(TO) }];
  yield ["address", "recipient is a list", { to: [] }];
  if (fields.access !== undefined) yield* accessBent();
  if (fields.priority !== undefined) {
    yield ["transaction", "priority fee above the fee cap (EIP-1559)", { priority: big(30_000_000_001) }];
  }
  if (type === "legacy") yield* legacyBent();
  if (type === "eip4844") yield* blobsBent();
  if (type === "eip7702") yield* authorizationsBent();
}

function* accessBent() {
  yield ["rlp", "access list is bytes", { access: big(0) }];
  yield ["access list", "address of 19 bytes in the access list", { access: [[TO.subarray(1), []]] }];
  yield ["access list", "storage key of 31 bytes", { access: [[TO, [KEY.subarray(1)]]] }];
  yield ["access list", "storage keys are bytes", { access: [[TO, KEY]] }];
  yield ["access list", "access list entry without keys", { access: [[TO]] }];
  yield ["access list", "access list entry of three", { access: [[TO, [], []]] }];
  yield ["access list", "access list one list deeper", { access: [[[TO, []]]] }];
}

function* legacyBent() {
  const [, r, s] = SIGNATURE;
  yield ["signed", "signed under EIP-155", { chain: big(37), r, s }];
  yield ["signed", "signed before EIP-155", { chain: big(27), r, s }];
  yield ["signed", "r alone is there", { r }];
  yield ["signed", "s alone is there", { s }];
  yield ["rlp", "r and s are the byte zero", { r: raw([0]), s: raw([0]) }];
}

function* blobsBent() {
  const version = (byte) => Buffer.concat([Buffer.from([byte]), BLOB.subarray(1)]);
  yield ["transaction", "creation (EIP-4844)", { to: big(0) }];
  yield ["transaction", "no blobs (EIP-4844)", { blobs: [] }];
  yield ["transaction", "blob hash of version 0 (EIP-4844)", { blobs: [version(0)] }];
  yield ["transaction", "blob hash of version 2 (EIP-4844)", { blobs: [BLOB, version(2)] }];
  yield ["rlp", "blob hash of 31 bytes", { blobs: [BLOB.subarray(0, 31)] }];
  yield ["rlp", "blob hash of 33 bytes", { blobs: [Buffer.concat([BLOB, Buffer.from([0])])] }];
  yield ["rlp", "blob hashes are bytes", { blobs: BLOB }];
  yield ["bounds", "blob fee of 2^63", { blobFee: big(2n ** 63n) }];
  yield ["bounds", "blob fee of 2^128", { blobFee: big(2n ** 128n) }];
}

function* authorizationsBent() {
  const changed = (index, item) => AUTHORIZATION.map((old, position) => (position === index ? item : old));
  yield ["transaction", "creation (EIP-7702)", { to: big(0) }];
  yield ["transaction", "no authorisations (EIP-7702)", { authorizations: [] }];
  yield ["authorization", "authorisation without signature", { authorizations: [AUTHORIZATION.slice(0, 3)] }];
  yield ["authorization", "authorisation of seven items", { authorizations: [[...AUTHORIZATION, big(1)]] }];
  yield ["authorization", "authorisation's address of 19 bytes", { authorizations: [changed(1, TO.subarray(1))] }];
  yield ["authorization", "authorisation's address is empty", { authorizations: [changed(1, big(0))] }];
  yield ["authorization", "authorisation's nonce with a zero in front", { authorizations: [changed(2, Buffer.from([0, 3]))] }];
  yield ["bounds", "authorisation's nonce of 2^63", { authorizations: [changed(2, big(2n ** 63n))] }];
  yield ["bounds", "authorisation's chain id of 2^63", { authorizations: [changed(0, big(2n ** 63n))] }];
  yield ["authorization", "authorisation's nonce of 2^64", { authorizations: [changed(2, big(2n ** 64n))] }];
  yield ["authorization", "authorisation's chain id of 2^256", { authorizations: [changed(0, big(2n ** 256n))] }];
  yield ["authorization", "authorisation's y parity of 2^8 (EIP-7702)", { authorizations: [changed(3, big(256))] }];
  yield ["authorization", "authorisation's r of 33 bytes", { authorizations: [changed(4, Buffer.concat([Buffer.from([1]), KEY]))] }];
  yield ["authorization", "authorisations are bytes", { authorizations: big(0) }];
}

function* wholesBent(prefix, fields) {
  const items = Object.values(fields);
  const typed = (body) => Buffer.concat([Buffer.from(prefix), body]);
  const sound = typed(rlp(items));
  const content = Buffer.concat(items.map(rlp));
  yield ["trailing", "a zero behind the end", Buffer.concat([sound, Buffer.from([0])])];
  yield ["trailing", "a second transaction behind the end", Buffer.concat([sound, sound])];
  yield ["truncated", "the last byte is missing", sound.subarray(0, -1)];
  yield ["truncated", "half of it", sound.subarray(0, sound.length >> 1)];
  yield ["rlp", "list length with a zero in front", typed(longForm(0xc0, content, 3))];
  yield ["rlp", "list length one too small", typed(shifted(rlp(items), -1))];
  yield ["rlp", "list length one too large", typed(shifted(rlp(items), 1))];
  yield ["rlp", "bytes in place of the list", typed(rlp(content))];
  yield ["rlp", "a list around the list", typed(rlp([items]))];
  yield ["fields", "the last field is missing", typed(rlp(items.slice(0, -1)))];
  yield ["fields", "an empty field more", typed(rlp([...items, big(0)]))];
  yield ["fields", "no fields", typed(rlp([]))];
  if (prefix.length > 0) {
    yield ["signed", "signed", typed(rlp([...items, ...SIGNATURE]))];
    yield ["rlp", "wrapped in bytes, as in a block", rlp(sound)];
  }
}

// The length's last byte, which in the short form is the first one.
function shifted(list, by) {
  const bytes = Buffer.from(list);
  bytes[Math.max(0, bytes[0] - 0xf7)] += by;
  return bytes;
}

function* strangers() {
  const { fields } = TYPES.legacy;
  const { chain, r, s, ...six } = fields;
  const legacy = rlp(Object.values(fields));
  const dynamic = rlp(Object.values(TYPES.eip1559.fields));
  yield ["chain id", "legacy without chain id, for every chain", rlp(Object.values(six))];
  yield ["chain id", "legacy with seven fields", rlp([...Object.values(six), chain])];
  yield ["rlp", "legacy: the long form of a list of 44 bytes", longForm(0xc0, exampleContent(), 1)];
  for (const type of [0, 5, 6, 0x19, 0x64, 0x71, 0x7e, 0x7f, 0x80, 0xbf]) {
    yield ["type", `type ${type} before the fields of type 2`, Buffer.concat([Buffer.from([type]), dynamic])];
  }
  yield ["type", "type 0 before a legacy transaction", Buffer.concat([Buffer.from([0]), legacy])];
  yield ["type", "type 1 before the fields of type 2", Buffer.concat([Buffer.from([1]), dynamic])];
  yield ["type", "type 2 twice", Buffer.concat([Buffer.from([2, 2]), dynamic])];
  yield ["truncated", "empty", Buffer.alloc(0)];
  for (const type of [1, 2, 3, 4]) yield ["truncated", `type ${type} alone`, Buffer.from([type])];
  yield ["rlp", "one byte", Buffer.from([0x7f])];
  yield ["truncated", "a list of 2^64 - 1 bytes that are not there", Buffer.from(`02ff${"ff".repeat(8)}`, "hex")];
  yield ["truncated", "a list of 16 MiB that is not there", Buffer.from("02fa01000000", "hex")];
  yield ["rlp", "lists 1,000 deep", Buffer.concat([Buffer.from([2]), nest(1_000)])];
  yield ["rlp", "an access list 300 deep", Buffer.concat([Buffer.from([2]), rlp(Object.values({ ...TYPES.eip1559.fields, access: raw(nest(300)) }))])];
  yield ["signed", "blobs, commitments and proofs around type 3", Buffer.concat([Buffer.from([3]), rlp([Object.values(TYPES.eip4844.fields), [], [], []])])];
  yield ["type", "hexadecimal digits in place of the bytes", Buffer.from(`0x02${dynamic.toString("hex")}`)];
  yield ["type", "the digest in place of the transaction", Buffer.from(keccak256(legacy).slice(2), "hex")];
}

function nest(depth) {
  let list = rlp([]);
  for (let level = 0; level < depth; level++) list = rlp([raw(list)]);
  return list;
}

// The fields of EIP-155's example, whose list fits the short form.
function exampleContent() {
  return Buffer.from("ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080", "hex").subarray(1);
}
