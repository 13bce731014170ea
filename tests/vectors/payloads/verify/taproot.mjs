// Hashes that were signed to spend a taproot output by its key: the address is read by
// @scure/base, and what it holds is the key with which @noble/curves verifies (BIP-341,
// "Script validation rules": a single witness element, under the output key itself).
import { schnorr } from "@noble/curves/secp256k1";
import { bech32m } from "@scure/base";
import { claim } from "./claim.mjs";

export function verifyTaproot(signed) {
  const { prefix, words: [version, ...program] } = bech32m.decode(signed.address);
  claim("@scure/base", prefix === "bc" && version === 1, "no output of version 1 on mainnet");
  const key = bech32m.fromWords(program);
  claim("@scure/base", key.length === 32, "no output key");
  const hash = signed.payload.slice(2);
  claim("BIP-341", hash.length === 64, "no hash of a transaction");
  claim("@noble/curves", schnorr.verify(signed.signature.slice(2), hash, key), "does not verify");
}
