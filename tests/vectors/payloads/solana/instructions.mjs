// Instructions by name, each with keys and values of its own.
import {
  AddressLookupTableProgram, ComputeBudgetProgram, Keypair, PublicKey, StakeProgram, SystemProgram, TransactionInstruction,
} from "@solana/web3.js";
import * as token from "@solana/spl-token";
import { Random, publishedKey } from "../random.mjs";

export const MEMO = new PublicKey("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
// The key of a fee payer that everybody can compute, so that any test can sign.
export const PAYER_SEED = Buffer.from(publishedKey("fee payer").slice(2), "hex");
export const PAYER = Keypair.fromSeed(PAYER_SEED).publicKey;

const U64_MAX = 2n ** 64n - 1n;

// Keys by name, and values, that no other instruction has.
class Draw extends Random {
  key() {
    return new PublicKey(this.bytes(32));
  }
}

export function memo(text, signers = []) {
  const keys = signers.map((pubkey) => ({ pubkey, isSigner: true, isWritable: false }));
  return new TransactionInstruction({ programId: MEMO, keys, data: Buffer.from(text) });
}

export function advanceNonce(noncePubkey = new Draw("nonce").key(), authorizedPubkey = PAYER) {
  return SystemProgram.nonceAdvance({ noncePubkey, authorizedPubkey });
}

export function transferTo(toPubkey, lamports, fromPubkey = PAYER) {
  return SystemProgram.transfer({ fromPubkey, toPubkey, lamports });
}

// [name, instructions]
export function* instructions() {
  yield* system();
  yield* tokens("token", token.TOKEN_PROGRAM_ID);
  yield* tokens("token-2022", token.TOKEN_2022_PROGRAM_ID);
  yield* others();
}

function* system() {
  const draw = new Draw("system");
  for (const lamports of [0n, 1n, 1_000_000_000n, 2n ** 53n, 2n ** 63n, U64_MAX]) {
    yield [`system transfer of ${lamports}`, [transferTo(draw.key(), lamports)]];
  }
  const [from, base] = [draw.key(), draw.key()];
  yield ["system transfer from another signer", [transferTo(draw.key(), 5n, from)]];
  yield ["system transfer to its source", [transferTo(PAYER, 5n)]];
  yield ["system transfer with seed", [SystemProgram.transfer({
    fromPubkey: from, basePubkey: base, toPubkey: draw.key(), lamports: 7n, seed: "a seed", programId: draw.key(),
  })]];
  const created = draw.key();
  yield ["system account creation", [SystemProgram.createAccount({
    fromPubkey: PAYER, newAccountPubkey: created, lamports: 2_039_280, space: 165, programId: token.TOKEN_PROGRAM_ID,
  })]];
  yield ["system account creation with seed", [SystemProgram.createAccountWithSeed({
    fromPubkey: PAYER, newAccountPubkey: draw.key(), basePubkey: PAYER, seed: "seed", lamports: 890_880, space: 0, programId: draw.key(),
  })]];
  yield ["system allocate and assign", [
    SystemProgram.allocate({ accountPubkey: created, space: 10 }),
    SystemProgram.assign({ accountPubkey: created, programId: draw.key() }),
  ]];
  const nonce = draw.key();
  yield ["nonce account made", [
    ...SystemProgram.createNonceAccount({ fromPubkey: PAYER, noncePubkey: nonce, authorizedPubkey: PAYER, lamports: 1_500_000 }).instructions,
  ]];
  yield ["nonce authorised", [SystemProgram.nonceAuthorize({ noncePubkey: nonce, authorizedPubkey: PAYER, newAuthorizedPubkey: draw.key() })]];
  yield ["nonce withdrawn", [SystemProgram.nonceWithdraw({ noncePubkey: nonce, authorizedPubkey: PAYER, toPubkey: draw.key(), lamports: 9_000 })]];
}

function* tokens(name, program) {
  const draw = new Draw(name);
  const [source, destination, mint, owner] = [draw.key(), draw.key(), draw.key(), draw.key()];
  const transfer = (amount, authority, signers) =>
    token.createTransferInstruction(source, destination, authority, amount, signers, program);
  const checked = (amount, authority, signers) =>
    token.createTransferCheckedInstruction(source, mint, destination, authority, amount, 6, signers, program);
  yield [`${name} transfer by the fee payer`, [transfer(1n, PAYER)]];
  yield [`${name} transfer of everything`, [transfer(U64_MAX, owner)]];
  yield [`${name} transfer of nothing`, [transfer(0n, owner)]];
  yield [`${name} transfer by a multisig`, [transfer(5n, owner, [draw.key(), draw.key()])]];
  yield [`${name} checked transfer`, [checked(1_000_000n, PAYER)]];
  yield [`${name} checked transfer by a multisig`, [checked(2n ** 63n, owner, [draw.key(), draw.key(), PAYER])]];
  yield [`${name} two transfers`, [transfer(1n, PAYER), checked(2n, PAYER)]];
  yield [`${name} approvals`, [
    token.createApproveInstruction(source, destination, PAYER, 5n, [], program),
    token.createApproveCheckedInstruction(source, mint, destination, PAYER, 5n, 6, [], program),
    token.createRevokeInstruction(source, PAYER, [], program),
  ]];
  yield [`${name} mint and burn`, [
    token.createMintToInstruction(mint, destination, PAYER, 10n, [], program),
    token.createBurnInstruction(source, mint, PAYER, 10n, [], program),
  ]];
  yield [`${name} authority and close`, [
    token.createSetAuthorityInstruction(source, PAYER, token.AuthorityType.AccountOwner, draw.key(), [], program),
    token.createCloseAccountInstruction(source, destination, PAYER, [], program),
  ]];
  yield [`${name} associated account, then a checked transfer into it`, [
    token.createAssociatedTokenAccountIdempotentInstruction(PAYER, destination, owner, mint, program),
    checked(3n, PAYER),
  ]];
  if (program.equals(token.TOKEN_2022_PROGRAM_ID)) {
    yield [`${name} checked transfer with fee`, [
      token.createTransferCheckedWithFeeInstruction(source, mint, destination, PAYER, 100n, 6, 1n, [], program),
    ]];
  }
}

function* others() {
  const draw = new Draw("others");
  yield ["nothing", []];
  yield ["memo", [memo("hello")]];
  yield ["memo with signers", [memo("größer 😀", [PAYER, draw.key()])]];
  yield ["empty memo", [memo("")]];
  // A length that takes two bytes.
  yield ["memo of 300 bytes", [memo("x".repeat(300))]];
  const to = draw.key();
  const limit = (units) => ComputeBudgetProgram.setComputeUnitLimit({ units });
  const price = (microLamports) => ComputeBudgetProgram.setComputeUnitPrice({ microLamports });
  yield ["compute budget and a transfer", [limit(200_000), price(1_000), transferTo(to, 1n)]];
  yield ["compute unit limit alone", [limit(0), transferTo(to, 1n)]];
  yield ["the largest compute unit price, alone and at the end", [transferTo(to, 1n), price(2n ** 63n - 1n)]];
  yield ["the largest compute unit limit", [limit(2 ** 32 - 1)]];
  yield ["heap frame", [ComputeBudgetProgram.requestHeapFrame({ bytes: 32 * 1024 })]];
  yield ["stake withdrawal", [...StakeProgram.withdraw({ stakePubkey: draw.key(), authorizedPubkey: PAYER, toPubkey: to, lamports: 5 }).instructions]];
  const [create] = AddressLookupTableProgram.createLookupTable({ authority: PAYER, payer: PAYER, recentSlot: 12_345n });
  yield ["look-up table made", [create]];
  const program = draw.key();
  const custom = (length, accounts) => new TransactionInstruction({
    programId: program,
    keys: Array.from({ length: accounts }, () => ({ pubkey: draw.key(), isSigner: draw.below(8) === 0, isWritable: draw.below(2) === 0 })),
    data: draw.bytes(length),
  });
  yield ["a program of somebody's", [custom(8, 4)]];
  yield ["a program without accounts and data", [custom(0, 0)]];
  yield ["a program twice, memo between", [custom(9, 2), memo("between"), custom(127, 2)]];
  yield ["twenty accounts", [custom(128, 20)]];
  // The system program's own number of an instruction that does not exist.
  yield ["an unknown system instruction", [new TransactionInstruction({ programId: SystemProgram.programId, keys: [{ pubkey: PAYER, isSigner: true, isWritable: true }], data: Buffer.from([99, 0, 0, 0]) })]];
}
