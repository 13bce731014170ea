// Messages that must not be signed: bytes that are no message, or not in its one
// encoding, or that the runtime would not take.
import { PublicKey, VersionedMessage } from "@solana/web3.js";
import { WEB3 } from "../libraries.mjs";
import { Random } from "../random.mjs";

const random = new Random("refused messages");
const PAYER = random.bytes(32);
const TO = random.bytes(32);
const SYSTEM = Buffer.alloc(32);
const BLOCKHASH = random.bytes(32);
const TABLE = random.bytes(32);
const SIGNATURE = random.bytes(64);

// A transfer of 5 lamports.
const TRANSFER = { program: [2], accounts: [2, 0, 1], data: [12, ...Buffer.from("020000000500000000000000", "hex")] };
// What a message says, part by part; lengths are in the parts, so that they can lie.
const LEGACY = {
  version: [],
  header: [1, 0, 1],
  keys: [3, ...PAYER, ...TO, ...SYSTEM],
  blockhash: [...BLOCKHASH],
  instructions: [1],
  transfer: TRANSFER,
  lookups: [],
};
const VERSIONED = { ...LEGACY, version: [0x80], lookups: [1, ...TABLE, 1, 7, 2, 8, 9] };

export function refusedMessages() {
  const cases = [];
  for (const [name, parts] of [["legacy", LEGACY], ["version 0", VERSIONED]]) {
    if (!reads(whole(parts))) throw new Error(`the ${name} message is not sound`);
    const add = (group, why, bytes) => cases.push(refused(group, `${name}: ${why}`, bytes));
    for (const [group, why, change] of partsBent(parts)) add(group, why, whole({ ...parts, ...change }));
    for (const [group, why, bytes] of wholesBent(whole(parts))) add(group, why, bytes);
  }
  for (const [group, why, change] of lookupsBent()) cases.push(refused(group, `version 0: ${why}`, whole({ ...VERSIONED, ...change })));
  for (const [group, why, bytes] of [...budgets(), ...strangers()]) cases.push(refused(group, why, bytes));
  return cases;
}

function whole({ version, header, keys, blockhash, instructions, transfer, lookups }) {
  const { program, accounts, data } = transfer;
  return Buffer.from([version, header, keys, blockhash, instructions, program, accounts, data, lookups].flat());
}

function refused(group, why, bytes) {
  const hex = `0x${bytes.toString("hex")}`;
  return { kind: "solana_message", group, why, hex, accepted_by: reads(bytes) ? [WEB3] : [] };
}

// Whether web3.js reads it, as one of the two versions that are signed.
function reads(bytes) {
  try {
    return VersionedMessage.deserialize(bytes).version !== 1;
  } catch {
    return false;
  }
}

function* partsBent(parts) {
  const transfer = (change) => ({ transfer: { ...TRANSFER, ...change } });
  const behind = (list, first) => [...first, ...list.slice(1)];
  // compact-u16 has one encoding of each length.
  yield ["length", "the number of keys in two bytes", { keys: behind(parts.keys, [0x83, 0]) }];
  yield ["length", "the number of keys in three bytes", { keys: behind(parts.keys, [0x83, 0x80, 0]) }];
  yield ["length", "the number of keys in four bytes", { keys: behind(parts.keys, [0x83, 0x80, 0x80, 0]) }];
  yield ["length", "the number of keys is 2^16 + 3", { keys: behind(parts.keys, [0x83, 0x80, 0x04]) }];
  yield ["length", "the number of instructions in two bytes", { instructions: [0x81, 0] }];
  yield ["length", "the number of accounts in two bytes", transfer({ accounts: behind(TRANSFER.accounts, [0x82, 0]) })];
  yield ["length", "the length of data in two bytes", transfer({ data: behind(TRANSFER.data, [0x8c, 0]) })];
  yield ["length", "a length that does not end", { instructions: [0xff, 0xff, 0xff] }];
  yield ["length", "65,535 keys that are not there", { keys: behind(parts.keys, [0xff, 0xff, 0x03]) }];
  yield ["length", "65,535 instructions that are not there", { instructions: [0xff, 0xff, 0x03] }];
  yield ["length", "data longer than the message", transfer({ data: behind(TRANSFER.data, [0xff, 0x7f]) })];
  yield ["header", "no signers", { header: [0, 0, 1] }];
  yield ["header", "more signers than keys", { header: [4, 0, 0] }];
  yield ["header", "the fee payer cannot be written", { header: [1, 1, 1] }];
  yield ["header", "more read-only signers than signers", { header: [1, 2, 1] }];
  yield ["header", "more read-only keys than keys that do not sign", { header: [1, 0, 3] }];
  yield ["header", "signers and read-only keys overlap", { header: [3, 0, 1] }];
  yield ["header", "no keys", { keys: [0] }];
  yield ["index", "the program is the fee payer", transfer({ program: [0] })];
  yield ["index", "a program behind the last key", transfer({ program: [parts === LEGACY ? 3 : 6] })];
  yield ["index", "program 255", transfer({ program: [255] })];
  yield ["index", "an account behind the last key", transfer({ accounts: [2, 0, parts === LEGACY ? 3 : 6] })];
  yield ["index", "account 255", transfer({ accounts: [2, 0, 255] })];
  yield ["keys", "the fee payer twice, the second time not signing", { keys: [3, ...PAYER, ...PAYER, ...SYSTEM] }];
  yield ["keys", "the recipient twice", { keys: [4, ...PAYER, ...TO, ...SYSTEM, ...TO], header: [1, 0, 2] }];
}

// What the runtime refuses, or policy could not compare.
function* budgets() {
  const BUDGET = new PublicKey("ComputeBudget111111111111111111111111111111").toBytes();
  const limit = [2, 0, 5, 2, 1, 0, 0, 0];
  const price = (bytes) => [2, 0, 9, 3, ...bytes];
  const message = (...instructions) => {
    const keys = [2, ...PAYER, ...BUDGET];
    return Buffer.from([1, 0, 1, ...keys, ...BLOCKHASH, instructions.length, ...instructions.flatMap(([, ...rest]) => [1, ...rest])]);
  };
  yield ["budget", "a compute unit limit twice", message(limit, limit)];
  yield ["budget", "a compute unit price twice", message(price([1, 0, 0, 0, 0, 0, 0, 0]), price([2, 0, 0, 0, 0, 0, 0, 0]))];
  yield ["bounds", "a compute unit price of 2^63", message(price([0, 0, 0, 0, 0, 0, 0, 0x80]))];
}

function* lookupsBent() {
  const { lookups } = VERSIONED;
  yield ["length", "the number of look-up tables in two bytes", { lookups: [0x81, 0, ...lookups.slice(1)] }];
  yield ["length", "the number of indexes to write in two bytes", { lookups: [1, ...TABLE, 0x81, 0, 7, 2, 8, 9] }];
  yield ["length", "the number of indexes to read in two bytes", { lookups: [1, ...TABLE, 1, 7, 0x82, 0, 8, 9] }];
  yield ["length", "65,535 look-up tables that are not there", { lookups: [0xff, 0xff, 0x03] }];
  yield ["lookups", "no number of look-up tables", { lookups: [] }];
  yield ["lookups", "a look-up table without indexes", { lookups: [1, ...TABLE, 0, 0] }];
  yield ["lookups", "the program from a look-up table", { transfer: { ...TRANSFER, program: [3] } }];
  yield ["lookups", "more than 256 accounts", { lookups: [1, ...TABLE, 0x80, 1, ...Array.from({ length: 128 }, (_, i) => i), 0x80, 1, ...Array.from({ length: 128 }, (_, i) => 128 + i)] }];
}

function* wholesBent(sound) {
  yield ["trailing", "a zero behind the end", Buffer.concat([sound, Buffer.from([0])])];
  yield ["trailing", "a second message behind the end", Buffer.concat([sound, sound])];
  yield ["trailing", "an empty list of look-up tables behind the end", Buffer.concat([sound, Buffer.from([0, 0])])];
  const cuts = [1, 2, 3, 4, 5, 36, 100, 101, 132, 133, 134, sound.length - 12, sound.length - 1];
  for (const cut of new Set(cuts)) yield ["truncated", `the first ${cut} bytes`, sound.subarray(0, cut)];
  yield ["signed", "a transaction with its signature", Buffer.concat([Buffer.from([1]), SIGNATURE, sound])];
  yield ["signed", "a transaction with room for its signature", Buffer.concat([Buffer.from([1]), Buffer.alloc(64), sound])];
}

function* strangers() {
  const body = whole(VERSIONED).subarray(1);
  for (const version of [1, 2, 126, 127]) {
    yield ["version", `version ${version} before the body of version 0`, Buffer.concat([Buffer.from([0x80 | version]), body])];
  }
  yield ["version", "version 1 in its own layout", versionOne()];
  yield ["version", "version 0 twice", Buffer.concat([Buffer.from([0x80]), whole(VERSIONED)])];
  yield ["version", "an off-chain message", Buffer.concat([Buffer.from([0xff]), Buffer.from("solana offchain"), Buffer.from([0, 0, 5, 0]), Buffer.from("hello")])];
  yield ["version", "version 0 and the body of legacy, without look-up tables", Buffer.concat([Buffer.from([0x80]), whole(LEGACY)])];
  yield ["trailing", "legacy with the look-up tables of version 0", body];
  yield ["truncated", "empty", Buffer.alloc(0)];
  yield ["truncated", "the version alone", Buffer.from([0x80])];
  yield ["version", "the message in base64", Buffer.from(whole(LEGACY).toString("base64"))];
  yield ["version", "the message in hexadecimal", Buffer.from(whole(LEGACY).toString("hex"))];
  yield ["length", "bytes of 255", Buffer.alloc(200, 0xff)];
}

// The same transfer in version 1, which has a layout of its own. web3.js reads it and
// writes none.
function versionOne() {
  const { header, keys, blockhash, transfer } = LEGACY;
  const noConfiguration = [0, 0, 0, 0];
  const [accounts, data] = [transfer.accounts.slice(1), transfer.data.slice(1)];
  const instruction = [...transfer.program, accounts.length, data.length, 0, ...accounts, ...data];
  const bytes = Buffer.from([0x81, ...header, ...noConfiguration, ...blockhash, 1, ...keys, ...instruction]);
  if (VersionedMessage.deserialize(bytes).version !== 1) throw new Error("not version 1");
  return bytes;
}
