// Signed transactions: each library puts the signature into the unsigned bytes and
// says who signed. Both must come to the same bytes.
import { parseTransaction, recoverTransactionAddress, serializeTransaction } from "viem";
import { Signature, Transaction } from "ethers";
import { viewOfEthers } from "../evm/view.mjs";
import { claim, readers } from "./claim.mjs";
import { partsOf } from "./ecdsa.mjs";

export async function verifyEvmTransaction(signed) {
  const by = readers(signed);
  claim("read_by", by.ethers, "ethers reads every transaction");
  const view = viewOfEthers(signed.payload);
  const eip155 = BigInt(view.chain_id) * 2n + 35n;
  const parts = partsOf(signed, view.type === "legacy" ? eip155 : 0n);

  const ethers = Transaction.from(signed.payload);
  ethers.signature = Signature.from(parts);
  const read = Transaction.from(ethers.serialized);
  claim("ethers", read.from === signed.address, `signed by ${read.from}`);
  claim("ethers", read.unsignedSerialized === signed.payload, "another transaction");
  if (!by.viem) return;

  const v = view.type === "legacy" ? BigInt(signed.v ?? eip155 + BigInt(parts.yParity)) : undefined;
  const serializedTransaction = serializeTransaction(parseTransaction(signed.payload), { ...parts, v });
  const signer = await recoverTransactionAddress({ serializedTransaction });
  claim("viem", signer === signed.address, `signed by ${signer}`);
  claim("viem", serializedTransaction === ethers.serialized, "other bytes than ethers");
}
