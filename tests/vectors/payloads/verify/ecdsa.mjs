// The parts of a recoverable ECDSA signature.
import { claim } from "./claim.mjs";

// `firstV` is the v of recovery id 0: 0, 27, or what EIP-155 makes of the chain id.
export function partsOf({ signature, recovery_id: yParity, v }, firstV) {
  claim("recovery id", yParity === 0 || yParity === 1, "neither 0 nor 1");
  // The transport may have no field for v.
  if (v !== undefined) claim("v", BigInt(v) === firstV + BigInt(yParity), `${v} does not fit recovery id ${yParity}`);
  return { r: signature.slice(0, 66), s: `0x${signature.slice(66)}`, yParity };
}
