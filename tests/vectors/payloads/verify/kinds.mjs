// The kinds of payload, and what a signed one must hold.
import { verifyEip191 } from "./eip191.mjs";
import { verifyEip712 } from "./eip712.mjs";
import { verifyEvmTransaction } from "./evm_transaction.mjs";
import { verifySolanaMessage } from "./solana_message.mjs";
import { verifyTaproot } from "./taproot.mjs";

const KINDS = {
  evm_transaction: verifyEvmTransaction,
  eip712: verifyEip712,
  eip191: verifyEip191,
  solana_message: verifySolanaMessage,
  taproot: verifyTaproot,
};

// Throws unless every library takes the signature for the address's.
export async function verifyOne(signed) {
  const verify = KINDS[signed.kind];
  if (!Object.hasOwn(KINDS, signed.kind)) throw new Error(`there is no kind ${signed.kind}`);
  for (const field of ["payload", "signature", "address"]) {
    if (typeof signed[field] !== "string") throw new Error(`${signed.kind}: ${field} is no string`);
  }
  if (!/^0x[0-9a-f]{128}$/.test(signed.signature)) throw new Error(`${signed.kind}: a signature is 64 bytes`);
  try {
    await verify(signed);
  } catch (error) {
    throw new Error(`${signed.kind}: ${String(error.message).split("\n")[0]}`);
  }
}
