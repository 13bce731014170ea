// Typed data that one of the two libraries refuses or hashes in another way, and that
// EIP-712 allows: each with its text, and with the library that is right.
import { ETHERS, VIEM } from "../libraries.mjs";
import { DOMAIN, domainType } from "./domains.mjs";
import { struct } from "./standards.mjs";
import { byViem, plain } from "./texts.mjs";

export function* alone() {
  const note = { domain: DOMAIN, types: { Note: struct("string text") }, primaryType: "Note", message: { text: "x" } };
  // The EIP asks readers to take the members in the order that `EIP712Domain` has;
  // ethers always takes its own.
  const reversed = { EIP712Domain: domainType(DOMAIN).reverse(), ...note.types };
  yield { data: { ...note, name: "a domain in another order" }, by: VIEM, text: plain({ ...note, types: reversed }) };

  const tree = {
    name: "a struct in itself, through an array",
    domain: DOMAIN,
    types: { Node: struct("uint8 value, Node[] children") },
    primaryType: "Node",
    message: { value: 1n, children: [{ value: 2n, children: [] }, { value: 3n, children: [{ value: 4n, children: [] }] }] },
  };
  yield { data: tree, by: VIEM, text: byViem(tree) };
  const forest = {
    name: "two structs in each other, through arrays",
    domain: DOMAIN,
    types: { Forest: struct("Tree[] trees"), Tree: struct("string label, Forest[] inner") },
    primaryType: "Forest",
    message: { trees: [{ label: "a", inner: [] }, { label: "b", inner: [{ trees: [] }] }] },
  };
  yield { data: forest, by: VIEM, text: byViem(forest) };

  // Without a second case there is no checksum.
  const capitals = { ...DOMAIN, verifyingContract: "0xD8DA6BF26964AF9D7EED9E03E53415D37AA96045" };
  const owner = {
    name: "addresses in capitals",
    domain: capitals,
    types: { Owner: struct("address owner, address[] others") },
    primaryType: "Owner",
    message: { owner: capitals.verifyingContract, others: [capitals.verifyingContract] },
  };
  yield { data: owner, by: ETHERS, text: plain(owner) };
}
