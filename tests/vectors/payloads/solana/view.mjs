// What @solana/web3.js and @solana/spl-token read from the bytes of a message.
import {
  ComputeBudgetInstruction, ComputeBudgetProgram, PublicKey, SystemInstruction, SystemProgram, TransactionInstruction, VersionedMessage,
} from "@solana/web3.js";
import * as token from "@solana/spl-token";
import { Random } from "../random.mjs";

export function viewOf(payload) {
  const bytes = Buffer.from(payload.slice(2), "hex");
  const message = VersionedMessage.deserialize(bytes);
  // Reading and writing again gives the same bytes, or it read something else.
  if (!bytes.equals(message.serialize())) throw new Error("not canonical");
  const keys = message.staticAccountKeys;
  const { instructions, address } = resolved(message);
  const readings = instructions.map((instruction) => read(instruction, address));
  const first = (field) => readings.find((reading) => reading[field] !== undefined)?.[field] ?? null;
  const all = (field) => readings.flatMap((reading) => reading[field] ?? []);
  return {
    version: String(message.version),
    fee_payer: keys[0].toBase58(),
    accounts: keys.map((key, index) => ({
      address: key.toBase58(),
      signer: message.isAccountSigner(index),
      writable: message.isAccountWritable(index),
    })),
    programs: [...new Set(instructions.map((instruction) => instruction.programId.toBase58()))],
    lookup_tables: message.addressTableLookups.map((lookup) => ({
      address: lookup.accountKey.toBase58(),
      writable: [...lookup.writableIndexes],
      readonly: [...lookup.readonlyIndexes],
    })),
    transfers: all("transfers"),
    compute_unit_limit: first("compute_unit_limit"),
    compute_unit_price: first("compute_unit_price"),
    durable_nonce: readings[0]?.advances_nonce ?? false,
  };
}

// An account that comes from a look-up table is not in the message: it gets a key
// that stands for it, and the address null.
function resolved(message) {
  const lookups = message.addressTableLookups;
  const strangers = new Set();
  const stranger = () => {
    const key = new PublicKey(new Random(`stranger ${strangers.size}`).bytes(32));
    strangers.add(key.toBase58());
    return key;
  };
  const writable = lookups.flatMap((lookup) => [...lookup.writableIndexes].map(stranger));
  const readonly = lookups.flatMap((lookup) => [...lookup.readonlyIndexes].map(stranger));
  const keys = message.getAccountKeys({ accountKeysFromLookups: { writable, readonly } });
  const instructions = message.compiledInstructions.map((compiled) => new TransactionInstruction({
    programId: keys.get(compiled.programIdIndex),
    keys: compiled.accountKeyIndexes.map((index) => ({
      pubkey: keys.get(index),
      isSigner: message.isAccountSigner(index),
      isWritable: message.isAccountWritable(index),
    })),
    data: Buffer.from(compiled.data),
  }));
  const address = (key) => (strangers.has(key.toBase58()) ? null : key.toBase58());
  return { instructions, address };
}

function read(instruction, address) {
  const program = instruction.programId;
  if (program.equals(SystemProgram.programId)) return readSystem(instruction, address);
  if (program.equals(ComputeBudgetProgram.programId)) return readBudget(instruction);
  if (program.equals(token.TOKEN_PROGRAM_ID)) return readToken("token", instruction, address);
  if (program.equals(token.TOKEN_2022_PROGRAM_ID)) return readToken("token-2022", instruction, address);
  return {};
}

function readSystem(instruction, address) {
  let kind;
  try {
    kind = SystemInstruction.decodeInstructionType(instruction);
  } catch {
    return {};
  }
  // Who signs for it: with a seed that is the base, from a nonce its authority, and
  // else the source.
  const moved = (source, destination, authority, lamports) => ({
    transfers: [{
      program: "system",
      source: address(source),
      destination: address(destination),
      authority: address(authority),
      mint: null,
      amount: lamports.toString(),
    }],
  });
  if (kind === "Transfer") {
    const { fromPubkey, toPubkey, lamports } = SystemInstruction.decodeTransfer(instruction);
    return moved(fromPubkey, toPubkey, fromPubkey, lamports);
  }
  if (kind === "TransferWithSeed") {
    const { fromPubkey, basePubkey, toPubkey, lamports } = SystemInstruction.decodeTransferWithSeed(instruction);
    return moved(fromPubkey, toPubkey, basePubkey, lamports);
  }
  if (kind === "Create") {
    const { fromPubkey, newAccountPubkey, lamports } = SystemInstruction.decodeCreateAccount(instruction);
    return moved(fromPubkey, newAccountPubkey, fromPubkey, lamports);
  }
  if (kind === "CreateWithSeed") {
    const { fromPubkey, newAccountPubkey, lamports } = SystemInstruction.decodeCreateWithSeed(instruction);
    return moved(fromPubkey, newAccountPubkey, fromPubkey, lamports);
  }
  if (kind === "WithdrawNonceAccount") {
    const { noncePubkey, toPubkey, authorizedPubkey, lamports } = SystemInstruction.decodeNonceWithdraw(instruction);
    return moved(noncePubkey, toPubkey, authorizedPubkey, lamports);
  }
  return { advances_nonce: kind === "AdvanceNonceAccount" };
}

function readBudget(instruction) {
  switch (ComputeBudgetInstruction.decodeInstructionType(instruction)) {
    case "SetComputeUnitLimit":
      return { compute_unit_limit: ComputeBudgetInstruction.decodeSetComputeUnitLimit(instruction).units.toString() };
    case "SetComputeUnitPrice":
      return { compute_unit_price: ComputeBudgetInstruction.decodeSetComputeUnitPrice(instruction).microLamports.toString() };
    default:
      return {};
  }
}

function readToken(program, instruction, address) {
  const decoders = [
    token.decodeTransferInstruction,
    token.decodeTransferCheckedInstruction,
    ...(program === "token-2022" ? [token.decodeTransferCheckedWithFeeInstruction] : []),
  ];
  for (const decode of decoders) {
    let decoded;
    try {
      decoded = decode(instruction, instruction.programId);
    } catch {
      continue;
    }
    const { source, destination, owner, authority, mint } = decoded.keys;
    return {
      transfers: [{
        program,
        source: address(source.pubkey),
        destination: address(destination.pubkey),
        authority: address((owner ?? authority).pubkey),
        mint: mint === undefined ? null : address(mint.pubkey),
        amount: decoded.data.amount.toString(),
      }],
    };
  }
  return {};
}
