// Signed Solana messages: the signature goes into the transaction at the place of its
// signer. web3.js verifies those of legacy transactions; Node.js verifies both.
import { createPublicKey, verify } from "node:crypto";
import { PublicKey, Transaction, VersionedMessage, VersionedTransaction } from "@solana/web3.js";
import { claim } from "./claim.mjs";

// RFC 8410: what stands before the 32 bytes of an Ed25519 public key.
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

export function verifySolanaMessage(signed) {
  const payload = Buffer.from(signed.payload.slice(2), "hex");
  const signature = Buffer.from(signed.signature.slice(2), "hex");
  const signer = new PublicKey(signed.address);
  const message = VersionedMessage.deserialize(payload);

  const transaction = new VersionedTransaction(message);
  transaction.addSignature(signer, signature);
  const sent = VersionedTransaction.deserialize(transaction.serialize());
  claim("@solana/web3.js", payload.equals(sent.message.serialize()), "another message");

  if (message.version === "legacy") {
    const legacy = Transaction.from(transaction.serialize());
    const own = legacy.signatures.filter((pair) => pair.publicKey.equals(signer) && pair.signature !== null);
    claim("@solana/web3.js", own.length === 1, "no signature of the signer");
    // Those of other signers may be absent.
    claim("@solana/web3.js", legacy.verifySignatures(false), "does not verify");
  }

  const key = createPublicKey({ key: Buffer.concat([SPKI, signer.toBytes()]), format: "der", type: "spki" });
  claim("node:crypto", verify(null, payload, key, signature), "does not verify");
}
