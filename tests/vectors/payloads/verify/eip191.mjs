// Signed personal messages.
import { hexToBytes, recoverMessageAddress, verifyMessage } from "viem";
import { Signature, verifyMessage as signerOf } from "ethers";
import { partsOf } from "./ecdsa.mjs";
import { claim } from "./claim.mjs";

export async function verifyEip191(signed) {
  const signature = Signature.from(partsOf(signed, 27n)).serialized;
  const message = { raw: signed.payload };
  const viem = await recoverMessageAddress({ message, signature });
  claim("viem", viem === signed.address, `signed by ${viem}`);
  claim("viem", await verifyMessage({ message, signature, address: signed.address }), "does not verify");
  const ethers = signerOf(hexToBytes(signed.payload), signature);
  claim("ethers", ethers === signed.address, `signed by ${ethers}`);
}
