// What a library must find, or the signature is wrong.
import { ETHERS, VIEM } from "../libraries.mjs";

export function claim(library, holds, otherwise) {
  if (!holds) throw new Error(`${library}: ${otherwise}`);
}

// Which of viem and ethers are to look at it: both, or those of a vector's `read_by`.
export function readers({ read_by: names = [VIEM, ETHERS] }) {
  claim("read_by", names.length > 0, "nobody");
  for (const name of names) claim("read_by", [VIEM, ETHERS].includes(name), `${name} is not here`);
  return { viem: names.includes(VIEM), ethers: names.includes(ETHERS) };
}
