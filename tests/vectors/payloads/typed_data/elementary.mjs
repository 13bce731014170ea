// Every elementary type of EIP-712, in every width.
import { DOMAIN } from "./domains.mjs";
import { Random } from "../random.mjs";

export function* elementary() {
  for (let bytes = 1; bytes <= 32; bytes++) yield width(bytes);
  yield* texts();
  yield {
    name: "both values of bool, and addresses at the ends",
    domain: DOMAIN,
    types: { Ends: [["yes", "bool"], ["no", "bool"], ["zero", "address"], ["last", "address"]].map(([name, type]) => ({ name, type })) },
    primaryType: "Ends",
    message: { yes: true, no: false, zero: `0x${"00".repeat(20)}`, last: `0x${"ff".repeat(20)}` },
  };
}

// Unsigned, signed and bytes of one width, with both ends of each.
function width(bytes) {
  const bits = BigInt(8 * bytes);
  const random = new Random(`width ${bytes}`);
  const half = 2n ** (bits - 1n);
  const members = [
    ["unsignedLeast", `uint${bits}`, 0n],
    ["unsignedMost", `uint${bits}`, 2n ** bits - 1n],
    ["unsignedSome", `uint${bits}`, random.integer(Number(bits))],
    ["signedLeast", `int${bits}`, -half],
    ["signedMinusOne", `int${bits}`, -1n],
    ["signedMost", `int${bits}`, half - 1n],
    ["signedSome", `int${bits}`, random.integer(Number(bits)) - half],
    ["zeros", `bytes${bytes}`, `0x${"00".repeat(bytes)}`],
    ["ones", `bytes${bytes}`, `0x${"ff".repeat(bytes)}`],
    ["some", `bytes${bytes}`, random.hex(bytes)],
  ];
  return {
    name: `uint${bits}, int${bits}, bytes${bytes}`,
    domain: DOMAIN,
    types: { Width: members.map(([name, type]) => ({ name, type })) },
    primaryType: "Width",
    message: Object.fromEntries(members.map(([name, , value]) => [name, value])),
  };
}

function* texts() {
  const strings = {
    empty: "",
    space: " ",
    quotes: "\"'\\/",
    controls: "\u0000\u0001\b\f\n\r\t\u007f",
    latin: "Größe",
    composed: "\u00e9",
    decomposed: "e\u0301",
    lookAlike: "р\u0430y\u0440al",
    rightToLeft: "\u202eevil\u202c שלום",
    astral: "😀 𝔘",
    separators: "\u2028\u2029\ufeff",
    long: "0123456789".repeat(60),
  };
  for (const [name, value] of Object.entries(strings)) {
    yield text(`string: ${name}`, "string", value);
  }
  for (const length of [0, 1, 31, 32, 33, 300]) {
    yield text(`bytes: ${length}`, "bytes", new Random(`bytes ${length}`).hex(length));
  }
}

function text(name, type, value) {
  return {
    name,
    domain: DOMAIN,
    types: { Text: [{ name: "value", type }] },
    primaryType: "Text",
    message: { value },
  };
}
