// Structs in structs, arrays of every shape, and what struct and member names allow.
import { DOMAIN, subsets } from "./domains.mjs";
import { Random } from "../random.mjs";
import { struct } from "./standards.mjs";

const shape = (name, types, primaryType, message) => ({ name, domain: DOMAIN, types, primaryType, message });
const list = (length, make) => Array.from({ length }, (_, index) => make(index));

export function* domains() {
  for (const domain of subsets()) {
    const members = Object.keys(domain).join(", ") || "nothing";
    yield { name: `a domain of ${members}`, domain, types: { Note: struct("string text") }, primaryType: "Note", message: { text: "x" } };
  }
}

export function* shapes() {
  yield* arrays();
  yield* nested();
  yield shape("a struct without members", { Root: struct("Nothing nothing, uint8 after"), Nothing: [] }, "Root", { nothing: {}, after: 1n });
  yield shape("names with digits, _ and $", { _Root$1: struct("uint8 _a, uint8 $b, uint8 c9, A_$ d"), A_$: struct("bool e") }, "_Root$1", { _a: 1n, $b: 2n, c9: 3n, d: { e: true } });
  yield shape("members named like types and like JavaScript's own", { Root: struct("uint8 uint8, bool address, string toString, string constructor, Root2 Root2"), Root2: struct("uint8 length") }, "Root", { uint8: 1n, address: true, toString: "t", constructor: "c", Root2: { length: 0n } });
  // The dependencies are sorted by name: upper case before lower case.
  yield shape(
    "dependencies out of order",
    { Middle: struct("zebra z, Apple a, apple b, Zebra c"), zebra: struct("uint8 v"), apple: struct("zebra v"), Zebra: struct("uint8 v"), Apple: struct("Zebra v") },
    "Middle",
    { z: { v: 1n }, a: { v: { v: 2n } }, b: { v: { v: 3n } }, c: { v: 4n } },
  );
  yield shape("a struct that begins like an elementary type", { Root: struct("intent a, bytesInfo b"), intent: struct("uint8 v"), bytesInfo: struct("uint8 v") }, "Root", { a: { v: 1n }, b: { v: 2n } });
}

function* arrays() {
  const random = new Random("arrays");
  const words = (length) => list(length, () => random.integer(256));
  const of = (type, value) => shape(`${type}: ${sizeOf(value)}`, { Root: [{ name: "list", type }], }, "Root", { list: value });
  for (const length of [0, 1, 2, 17]) yield of("uint256[]", words(length));
  yield of("int8[]", [-128n, -1n, 0n, 127n]);
  yield of("bool[]", [true, false, true]);
  yield of("address[]", list(3, () => random.hex(20)));
  yield of("bytes1[]", ["0x00", "0xff"]);
  yield of("bytes[]", ["0x", "0x00", random.hex(40)]);
  yield of("string[]", ["", "a", "😀"]);
  yield of("uint256[1]", words(1));
  yield of("uint8[3]", [1n, 2n, 3n]);
  yield of("bytes32[2]", [random.hex(32), random.hex(32)]);
  yield of("uint8[][]", [[], [1n], [2n, 3n]]);
  yield of("uint8[2][]", [[1n, 2n], [3n, 4n], [5n, 6n]]);
  yield of("uint8[][2]", [[], [1n, 2n, 3n]]);
  yield of("uint8[2][3]", [[1n, 2n], [3n, 4n], [5n, 6n]]);
  yield of("string[][2][]", [[["a"], []], [["b", "c"], ["d"]]]);
}

const sizeOf = (value) => value.map((item) => (Array.isArray(item) ? `[${sizeOf(item)}]` : "·")).join(" ") || "empty";

function* nested() {
  const types = { Root: struct("Leaf leaf, Leaf[] leaves, Branch[2] branches"), Branch: struct("Leaf[][] grid, bytes tail"), Leaf: struct("uint64 id, string label") };
  let next = 0n;
  const leaf = () => ({ id: next++, label: `leaf ${next}` });
  yield shape("structs in arrays in structs", types, "Root", {
    leaf: leaf(),
    leaves: list(3, leaf),
    branches: [
      { grid: [[leaf()], [], [leaf(), leaf()]], tail: "0x01" },
      { grid: [], tail: "0x" },
    ],
  });
  yield shape("the same struct at two places", { Root: struct("Pair a, Pair b"), Pair: struct("Leaf x, Leaf y"), Leaf: struct("uint8 v") }, "Root", {
    a: { x: { v: 1n }, y: { v: 2n } },
    b: { x: { v: 3n }, y: { v: 4n } },
  });
  for (const depth of [5, 8]) {
    const chain = {};
    for (let level = 0; level < depth; level++) chain[`L${level}`] = struct(level === depth - 1 ? "bool end" : `L${level + 1} next`);
    let message = { end: true };
    for (let level = 1; level < depth; level++) message = { next: message };
    yield shape(`structs ${depth} deep`, chain, "L0", message);
  }
}
