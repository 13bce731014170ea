// Solana messages, legacy and version 0, made by @solana/web3.js.
import { AddressLookupTableAccount, ComputeBudgetProgram, PublicKey, TransactionInstruction, TransactionMessage } from "@solana/web3.js";
import * as token from "@solana/spl-token";
import { WEB3 } from "./libraries.mjs";
import { Random } from "./random.mjs";
import { PAYER, PAYER_SEED, advanceNonce, instructions, memo, transferTo } from "./solana/instructions.mjs";
import { viewOf } from "./solana/view.mjs";

export function solana() {
  const cases = [];
  const add = (name, message) => {
    const payload = `0x${Buffer.from(message.serialize()).toString("hex")}`;
    cases.push({ name, made_by: WEB3, payload, view: viewOf(payload) });
  };
  for (const [name, list] of instructions()) {
    add(`legacy: ${name}`, compiled(name, list).compileToLegacyMessage());
    add(`version 0: ${name}`, compiled(name, list).compileToV0Message());
  }
  for (const [name, list] of durable()) {
    add(`legacy: ${name}`, compiled(name, list).compileToLegacyMessage());
    add(`version 0: ${name}`, compiled(name, list).compileToV0Message());
  }
  for (const [name, list, tables] of lookedUp()) {
    add(`version 0: ${name}`, compiled(name, list).compileToV0Message(tables));
  }
  for (const [name, list] of mixed()) {
    add(`legacy: ${name}`, compiled(name, list).compileToLegacyMessage());
    add(`version 0: ${name}`, compiled(name, list).compileToV0Message());
  }
  const signers = [{ name: "the fee payer of every case", seed: `0x${PAYER_SEED.toString("hex")}`, address: PAYER.toBase58() }];
  return { signers, cases };
}

function compiled(name, list) {
  const recentBlockhash = new PublicKey(new Random(`blockhash ${name}`).bytes(32)).toBase58();
  return new TransactionMessage({ payerKey: PAYER, recentBlockhash, instructions: list });
}

// Three of the lists in one message. A packet has no room for the longest, and the
// runtime refuses a second compute budget.
function* mixed() {
  const sizeOf = (list) => compiled("size", list).compileToLegacyMessage().serialize().length;
  const budgets = (list) => list.some((one) => one.programId.equals(ComputeBudgetProgram.programId));
  const parts = [...instructions()].map(([, list]) => list).filter((list) => !budgets(list) && sizeOf(list) < 450);
  for (let index = 0; index < 8; index++) {
    const random = new Random(`message ${index}`);
    yield [`random ${index}`, [random.pick(parts), random.pick(parts), random.pick(parts)].flat()];
  }
}

function* durable() {
  const to = new PublicKey(new Random("durable").bytes(32));
  const another = new PublicKey(new Random("nonce authority").bytes(32));
  yield ["durable nonce", [advanceNonce(), transferTo(to, 10n)]];
  yield ["durable nonce of another authority", [advanceNonce(undefined, another), transferTo(to, 10n)]];
  yield ["durable nonce alone", [advanceNonce()]];
  yield ["a nonce advanced second is not durable", [transferTo(to, 10n), advanceNonce()]];
}

// The accounts of a message that come from look-up tables.
function* lookedUp() {
  const random = new Random("look-up tables");
  const key = () => new PublicKey(random.bytes(32));
  const table = (addresses) => new AddressLookupTableAccount({
    key: key(),
    state: { deactivationSlot: 2n ** 64n - 1n, lastExtendedSlot: 0, lastExtendedSlotStartIndex: 0, addresses },
  });
  const [to, source, destination, mint] = [key(), key(), key(), key()];
  const fill = (count) => Array.from({ length: count }, key);
  const transfer = token.createTransferCheckedInstruction(source, mint, destination, PAYER, 77n, 6);
  const program = key();
  const calls = (pubkeys, isWritable) => new TransactionInstruction({
    programId: program, keys: pubkeys.map((pubkey, index) => ({ pubkey, isSigner: false, isWritable: isWritable(index) })), data: Buffer.from([1]),
  });

  yield ["a table that nothing uses", [transferTo(to, 1n)], [table(fill(3))]];
  yield ["the recipient from a table", [transferTo(to, 1n)], [table([...fill(2), to])]];
  yield ["the recipient at a table's end", [transferTo(to, 1n)], [table([...fill(255), to])]];
  yield ["a token's destination from a table", [transfer], [table([destination])]];
  yield ["everything of a token's transfer from a table", [transfer], [table([mint, source, destination])]];
  yield ["a token's transfer from two tables", [transfer], [table([source, ...fill(4)]), table([...fill(4), mint, destination])]];
  yield ["the mint alone from a table, to read", [transfer], [table([mint])]];
  const nonce = key();
  yield ["the durable nonce's account from a table", [advanceNonce(nonce), transferTo(to, 1n)], [table([nonce])]];
  const many = fill(20);
  yield ["twenty to read from a table", [calls(many, () => false)], [table(many)]];
  yield ["twenty to write from a table", [calls(many, () => true)], [table(many)]];
  yield ["both from two tables, with a memo", [calls(many, (index) => index % 2 === 0), memo("x")], [table(many.slice(0, 9)), table(many.slice(9))]];
  yield ["a signer in a table stays in the message", [memo("x", [to]), transferTo(destination, 1n, to)], [table([to, destination])]];
  yield ["a program in a table stays in the message", [calls([to], () => true)], [table([program, to])]];
}
