// Types that EIP-712 does not have, that lie about others, or that the libraries do
// not hash in one way.
import { bent, single } from "./sound.mjs";

export function* types() {
  for (const type of NO_TYPES) yield ["type", `a member of type ${JSON.stringify(type)}`, single(type, "1")];
  for (const type of NO_ARRAYS) yield ["type", `a member of type ${JSON.stringify(type)}`, single(type, "[1]")];
  for (const [why, change] of [...declarations(), ...names(), ...recursive(), ...primary()]) yield ["type", why, bent(change)];
  for (const [why, change] of domainTypes()) yield ["domain", why, bent(change)];
  yield* deep();
}

// No aliases, no widths but those of EIP-712, nothing of Solidity that it leaves out.
const NO_TYPES = [
  "uint", "int", "byte", "uint0", "uint7", "uint08", "uint264", "int1", "int257", "uint256 ", " uint256", "Uint256", "uint\u0431",
  "bytes0", "bytes33", "bytes01", "function", "fixed", "ufixed128x18", "address payable", "mapping(uint8=>uint8)", "(uint8)", "tuple", "Unknown", "", "uint8\u0000",
];
const NO_ARRAYS = ["uint8[", "uint8]", "uint8[ ]", "uint8[-1]", "uint8[01]", "uint8[1.0]", "uint8[0x1]", "uint8[1][", "[]", "uint8[18446744073709551617]", "Unknown[]", "uint8[]x"];

function* declarations() {
  yield ["a member twice in a struct", (data) => { data.types.Party.push({ name: "share", type: "uint8" }); }];
  yield ["a member twice in a struct, with two types", (data) => { data.types.Party.push({ name: "share", type: "uint256" }); }];
  yield ["a type that is not used has a type that is not there", (data) => { data.types.Other = [{ name: "a", type: "Unknown" }]; }];
  for (const name of ["uint256", "address", "string", "bytes", "bytes32", "bool", "int8"]) {
    yield [`a struct named ${name}`, (data) => { data.types[name] = [{ name: "a", type: "uint8" }]; }];
  }
  yield ["a struct named uint7", (data) => { data.types.uint7 = [{ name: "a", type: "uint8" }]; }];
  yield ["a struct named like an array", (data) => { data.types["Party[]"] = [{ name: "a", type: "uint8" }]; }];
  yield ["types is an array", (data) => { data.types = []; }];
  yield ["a struct is an object", (data) => { data.types.Party = { account: "address", share: "uint8" }; }];
  yield ["a struct is null", (data) => { data.types.Other = null; }];
  yield ["a member's declaration is a string", (data) => { data.types.Party[0] = "address account"; }];
  yield ["a member's declaration is an array", (data) => { data.types.Party[0] = ["account", "address"]; }];
  yield ["a member's type is a number", (data) => { data.types.Party[0].type = 5; }];
  yield ["a member's type is an object", (data) => { data.types.Party[0].type = { name: "address" }; }];
}

// The hash is taken over `type name` joined by commas: a name that holds one could
// say what another type says.
function* names() {
  const renamed = (name) => (data) => {
    data.types.Order[3].name = name;
    data.message[name] = data.message.note;
    delete data.message.note;
  };
  for (const name of ["note,uint256 more", "note)Party(address account", "no te", "", " note", "note\u0000", "n\u043ete", "note\u200b", "9note", "note.more", "note[0]", "note[]", "no\"te"]) {
    yield [`a member named ${JSON.stringify(name)}`, renamed(name)];
  }
  const struct = (name) => (data) => {
    data.types[name] = data.types.Order;
    delete data.types.Order;
    data.primaryType = name;
  };
  for (const name of ["Order(uint8 a)", "Or der", "", "\u041erder", "Order,", "9Order", "Order[]", "Order\u0000"]) {
    yield [`a struct named ${JSON.stringify(name)}`, struct(name)];
  }
}

// A value of such a type cannot end.
function* recursive() {
  yield ["a struct in itself", (data) => {
    data.types.Party.push({ name: "other", type: "Party" });
    data.message.maker.other = null;
    data.message.takers = [];
  }];
  yield ["a struct in an array of one in itself", (data) => {
    data.types.Party.push({ name: "other", type: "Party[1]" });
    data.message.maker.other = [];
    data.message.takers = [];
  }];
}

function* primary() {
  for (const name of ["Unknown", "order", "uint256", "Party[]", "Order ", "", "__proto__", "constructor"]) {
    yield [`the primary type is ${JSON.stringify(name)}`, (data) => { data.primaryType = name; }];
  }
  // viem hashes the domain alone, others hash it twice.
  yield ["the primary type is EIP712Domain", (data) => { data.primaryType = "EIP712Domain"; data.message = data.domain; }];
  yield ["the primary type is EIP712Domain, the message empty", (data) => { data.primaryType = "EIP712Domain"; data.message = {}; }];
  yield ["the primary type is a number", (data) => { data.primaryType = 5; }];
}

// viem hashes what `EIP712Domain` lists; ethers hashes what the domain has, in the
// order of the EIP.
function* domainTypes() {
  const listed = (change) => (data) => change(data.types.EIP712Domain, data);
  yield ["EIP712Domain lacks the chain id that the domain has", listed((type) => type.splice(2, 1))];
  yield ["EIP712Domain lacks the contract that the domain has", listed((type) => type.pop())];
  yield ["EIP712Domain is empty and the domain is not", listed((type) => type.splice(0))];
  yield ["EIP712Domain has a salt that the domain lacks", listed((type) => type.push({ name: "salt", type: "bytes32" }))];
  yield ["EIP712Domain has the chain id as uint64", listed((type) => { type[2].type = "uint64"; })];
  yield ["EIP712Domain has the chain id as a string", listed((type, data) => { type[2].type = "string"; data.domain.chainId = "1"; })];
  yield ["EIP712Domain has the contract as a string", listed((type) => { type[3].type = "string"; })];
  yield ["EIP712Domain has the name as bytes", listed((type, data) => { type[0].type = "bytes"; data.domain.name = "0x00"; })];
  yield ["EIP712Domain has the version twice", listed((type) => type.push({ name: "version", type: "string" }))];
  yield ["EIP712Domain has a member of its own", listed((type, data) => { type.push({ name: "origin", type: "string" }); data.domain.origin = "x"; })];
}

function* deep() {
  const depth = 300;
  const chain = {};
  for (let level = 0; level < depth; level++) chain[`L${level}`] = [{ name: "n", type: level === depth - 1 ? "bool" : `L${level + 1}` }];
  const open = '{"n":'.repeat(depth);
  const head = JSON.stringify({ types: chain, primaryType: "L0", domain: { name: "x" } });
  yield ["depth", `structs ${depth} deep`, head.replace(/}$/, `,"message":${open}true${"}".repeat(depth)}}`)];
  yield ["depth", `arrays ${depth} deep`, single(`uint8${"[]".repeat(depth)}`, "[".repeat(depth) + "]".repeat(depth))];
  // One value of a few bytes, and a type whose full length is exponential.
  yield ["depth", `arrays ${depth} deep in the type, one deep in the value`, single(`uint8${"[1]".repeat(depth)}`, "[]")];
}
