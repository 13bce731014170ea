// Signed typed data, from its JSON text.
import { recoverTypedDataAddress, verifyTypedData } from "viem";
import { Signature, verifyTypedData as signerOf } from "ethers";
import { forEthers } from "../typed_data/view.mjs";
import { claim, readers } from "./claim.mjs";
import { partsOf } from "./ecdsa.mjs";

export async function verifyEip712(signed) {
  const by = readers(signed);
  const signature = Signature.from(partsOf(signed, 27n)).serialized;
  const data = JSON.parse(signed.payload);
  if (by.viem) {
    const signer = await recoverTypedDataAddress({ ...data, signature });
    claim("viem", signer === signed.address, `signed by ${signer}`);
    const verified = await verifyTypedData({ ...data, signature, address: signed.address });
    claim("viem", verified, "does not verify");
  }
  if (by.ethers) {
    const { domain, types, message } = forEthers(data);
    const signer = signerOf(domain, types, message, signature);
    claim("ethers", signer === signed.address, `signed by ${signer}`);
  }
}
