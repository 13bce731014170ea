// Whether verify.mjs tells right from wrong: signs the vectors with published keys,
// and then bends each signed one in every way that must be noticed.
import { createPrivateKey, sign as signEd25519 } from "node:crypto";
import { readFileSync } from "node:fs";
import { schnorr } from "@noble/curves/secp256k1";
import { SigningKey, computeAddress } from "ethers";
import { VIEM } from "../libraries.mjs";
import { publishedKey, Random } from "../random.mjs";
import { PAYER, PAYER_SEED } from "../solana/instructions.mjs";
import { digestOfEthers, digestOfViem, digestOrNull } from "../typed_data/view.mjs";
import { verifyOne } from "./kinds.mjs";

const KEY = new SigningKey(publishedKey("signer"));
const ADDRESS = computeAddress(KEY);
const STRANGER = { eip: computeAddress(new SigningKey(publishedKey("stranger"))), solana: "11111111111111111111111111111112" };
// RFC 8410: what stands before the 32 bytes of an Ed25519 private key.
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

export async function selfTest() {
  const counts = { accepted: 0, rejected: 0 };
  for (const signed of [...signedByKey(), ...signedByPayer(), ...signedByOutputs()]) {
    await verifyOne(signed);
    counts.accepted += 1;
    for (const [why, bent] of bends(signed)) {
      if (await isVerified(bent)) throw new Error(`${signed.kind}: ${why}, and it verifies: ${JSON.stringify(bent)}`);
      counts.rejected += 1;
    }
  }
  console.log(`${counts.accepted} accepted, ${counts.rejected} rejected`);
}

async function isVerified(signed) {
  try {
    await verifyOne(signed);
    return true;
  } catch {
    return false;
  }
}

// Every seventh, which takes seconds: no list of cases repeats itself at that pace. And
// every one that viem or ethers reads alone.
function cases(name) {
  const { cases } = JSON.parse(readFileSync(new URL(`../${name}.json`, import.meta.url), "utf8"));
  return cases.filter(({ read_by: by = [] }, index) => index % 7 === 0 || by.length === 1);
}

function* signedByKey() {
  const kinds = { evm: "evm_transaction", typed_data: "eip712", personal: "eip191" };
  for (const [name, kind] of Object.entries(kinds)) {
    for (const { payload, digest, read_by, view } of cases(name)) {
      const { r, s, yParity } = KEY.sign(digest);
      const first = kind !== "evm_transaction" ? 27n : view.type === "legacy" ? BigInt(view.chain_id) * 2n + 35n : 0n;
      const v = (first + BigInt(yParity)).toString();
      yield { kind, payload, signature: r + s.slice(2), recovery_id: yParity, v, address: ADDRESS, read_by };
    }
  }
}

function* signedByPayer() {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, PAYER_SEED]), format: "der", type: "pkcs8" });
  for (const { payload } of cases("solana")) {
    const signature = signEd25519(null, Buffer.from(payload.slice(2), "hex"), key);
    yield { kind: "solana_message", payload, signature: `0x${signature.toString("hex")}`, address: PAYER.toBase58() };
  }
}

// The inputs of BIP-341's transaction, each with the key of the output that it spends.
function* signedByOutputs() {
  const rows = readFileSync(new URL("../bip341.csv", import.meta.url), "utf8").trim().split("\n").slice(1);
  for (const [, address, secret, hash] of rows.map((row) => row.split(","))) {
    if (hash === "") continue;
    const signature = Buffer.from(schnorr.sign(hash, secret)).toString("hex");
    yield { kind: "taproot", payload: `0x${hash}`, signature: `0x${signature}`, address };
  }
}

function* bends(signed) {
  const random = new Random(`self test ${signed.payload}`);
  for (const index of [0, 31, 32, 63, random.below(64)]) {
    yield [`bit of byte ${index} of the signature`, { ...signed, signature: flipped(signed.signature, index, random.below(8)) }];
  }
  yield ["another address", { ...signed, address: signed.kind === "solana_message" ? STRANGER.solana : STRANGER.eip }];
  if (signed.recovery_id !== undefined) {
    yield ["the other recovery id", { ...signed, recovery_id: 1 - signed.recovery_id, v: undefined }];
    yield ["the other v", { ...signed, v: (BigInt(signed.v) ^ 1n).toString() }];
    yield ["v of another chain", { ...signed, v: (BigInt(signed.v) + 2n).toString() }];
    yield ["the address in lower case", { ...signed, address: signed.address.toLowerCase() }];
    if (signed.kind !== "eip191") yield ["nobody to read it", { ...signed, read_by: [] }];
    yield ["no recovery id", { ...signed, recovery_id: undefined }];
  }
  yield ["half a signature", { ...signed, signature: signed.signature.slice(0, 66) }];
  yield ["another kind", { ...signed, kind: "digest" }];
  if (signed.kind === "eip712") {
    yield* textsBent(signed, random);
  } else {
    for (let count = 0; count < 4 && signed.payload.length > 2; count++) {
      const index = random.below(signed.payload.length / 2 - 1);
      yield [`bit of byte ${index} of the payload`, { ...signed, payload: flipped(signed.payload, index, random.below(8)) }];
    }
    yield ["a byte behind the payload", { ...signed, payload: `${signed.payload}00` }];
  }
}

// A bit of a text that changes what is signed, or makes it no typed data.
function* textsBent(signed, random) {
  const digestOf = signed.read_by.includes(VIEM) ? digestOfViem : digestOfEthers;
  for (let found = 0; found < 4;) {
    const bytes = Buffer.from(signed.payload);
    bytes[random.below(bytes.length)] ^= 1 << random.below(7);
    const payload = bytes.toString();
    if (digestOrNull(digestOf, payload) === digestOrNull(digestOf, signed.payload)) continue;
    found += 1;
    yield ["a bit of the text", { ...signed, payload }];
  }
}

function flipped(hex, index, bit) {
  const bytes = Buffer.from(hex.slice(2), "hex");
  bytes[index] ^= 1 << bit;
  return `0x${bytes.toString("hex")}`;
}
