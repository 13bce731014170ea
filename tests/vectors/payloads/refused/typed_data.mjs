// Typed data that must not be signed: texts in which two readers can see two things,
// and values that no type of EIP-712 has.
import { digestOfEthers, digestOfViem } from "../typed_data/view.mjs";
import { ETHERS, VIEM } from "../libraries.mjs";
import { json } from "./json.mjs";
import { types } from "./types.mjs";
import { values } from "./values.mjs";

export function refusedTypedData() {
  const cases = [];
  for (const [group, why, text] of [...json(), ...values(), ...types()]) {
    const form = typeof text === "string" ? { text } : { hex: `0x${text.toString("hex")}` };
    cases.push({ kind: "eip712", group, why, ...form, accepted_by: readers(text) });
  }
  return cases;
}

// Who hashes it all the same.
function readers(text) {
  const hashes = (digest) => {
    try {
      digest(text);
      return true;
    } catch {
      return false;
    }
  };
  return [[VIEM, digestOfViem], [ETHERS, digestOfEthers]].filter(([, digest]) => hashes(digest)).map(([name]) => name);
}
