// Values that are none of their type, or that only some readers take for one.
import { bent, single } from "./sound.mjs";

const ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const text = JSON.stringify;

export function* values() {
  for (const [type, value, why] of integers()) yield ["integer", `${type}: ${why ?? value}`, single(type, value)];
  for (const [type, value, why] of ranges()) yield ["range", `${type}: ${why ?? value}`, single(type, value)];
  for (const [value, why] of addresses()) yield ["address", why, single("address", value)];
  for (const [type, value, why] of bytes()) yield ["bytes", `${type}: ${why}`, single(type, value)];
  for (const value of ['"true"', '"false"', "1", "0", '""', "[]", "{}"]) yield ["bool", `bool: ${value}`, single("bool", value)];
  for (const value of ["5", "true", "{}", '["a"]']) yield ["string", `string: ${value}`, single("string", value)];
  yield* structs();
  yield* domains();
}

// An integer is a JSON integer or a string of decimal digits or of 0x and digits.
function* integers() {
  for (const value of ["1.0", "1.5", "1e3", "1E3", "-0", "1e400", "01", "+1", "0x10", "1_000", ".5", "5.", "NaN", "Infinity", "true", "[]", "[1]", "{}"]) {
    yield ["uint256", value];
  }
  for (const value of ["", " ", " 1", "1 ", "1\n", "1.0", "1e3", "+1", "-", "0x", "0xg", "x1", "0b1", "0o7", "1_000", "1,000", "0x_1", "\u0661", "\uff11", "1n", "NaN", "true", "--1"]) {
    yield ["int256", text(value)];
  }
  yield ["uint256", "1".repeat(1_000), "a number of JSON of 1,000 digits"];
  yield ["uint256", text("1".repeat(1_000)), "1,000 digits"];
}

function* ranges() {
  for (const bits of [8, 16, 64, 128, 160, 248]) {
    yield [`uint${bits}`, text((2n ** BigInt(bits)).toString())];
    yield [`int${bits}`, text((2n ** BigInt(bits - 1)).toString())];
    yield [`int${bits}`, text((-(2n ** BigInt(bits - 1)) - 1n).toString())];
  }
  yield ["uint8", "256"];
  yield ["uint8", text("0x100")];
  yield ["int8", "128"];
  yield ["int8", "-129"];
  for (const type of ["uint8", "uint256"]) {
    yield [type, "-1"];
    yield [type, text("-1")];
  }
  yield ["uint256", text((2n ** 256n).toString())];
  yield ["uint256", text(`0x1${"0".repeat(64)}`)];
  yield ["int256", text((2n ** 255n).toString())];
  yield ["int256", text((-(2n ** 255n) - 1n).toString())];
  // What is -1 to whoever takes the bits for the value.
  yield ["int256", text(`0x${"f".repeat(64)}`)];
  yield ["int8", text("0xff")];
}

function* addresses() {
  yield [text(ADDRESS.replace("C5", "c5")), "an address with a wrong checksum"];
  yield [text(ADDRESS.slice(2)), "an address without 0x"];
  yield [text(ADDRESS.toLowerCase().replace("0x", "0X")), "an address with 0X"];
  yield [text(ADDRESS.slice(0, -2)), "an address of 19 bytes"];
  yield [text(`${ADDRESS.toLowerCase()}00`), "an address of 21 bytes"];
  yield [text(`0x${"0".repeat(24)}${ADDRESS.slice(2).toLowerCase()}`), "an address of 32 bytes"];
  yield [text(` ${ADDRESS}`), "an address behind a space"];
  yield [text(ADDRESS.toLowerCase().replace("a", "\u0430")), "an address with a look-alike letter"];
  yield [text("XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS"), "an address as ICAP"];
  yield [text("vitalik.eth"), "a name of ENS in place of an address"];
  yield [text(""), "an empty address"];
  yield [text("0x"), "an address of no bytes"];
  yield ["0", "a number in place of an address"];
  yield ["[]", "an array in place of an address"];
}

function* bytes() {
  for (const type of ["bytes", "bytes4"]) {
    yield [type, text("0x123"), "half a byte"];
    yield [type, text("12345678"), "no 0x"];
    yield [type, text("0X12345678"), "0X"];
    yield [type, text("0x1234567g"), "a letter that is no digit"];
    yield [type, text("0x1234 5678"), "a space"];
    yield [type, "[18,52,86,120]", "an array of numbers"];
    yield [type, '{"0":18,"1":52,"2":86,"3":120}', "an object of numbers"];
    yield [type, "305419896", "a number"];
    yield [type, text("\u{ff10}x12345678"), "a full-width zero"];
  }
  yield ["bytes4", text("0x123456"), "three bytes"];
  yield ["bytes4", text("0x1234567890"), "five bytes"];
  yield ["bytes4", text("0x"), "no bytes"];
  yield ["bytes32", text(`0x${"ab".repeat(31)}`), "31 bytes"];
  yield ["bytes32", text(`0x${"ab".repeat(33)}`), "33 bytes"];
}

function* structs() {
  yield ["shape", "an array in place of a struct", bent((data) => { data.message.maker = []; })];
  yield ["shape", "a string in place of a struct", bent((data) => { data.message.maker = ADDRESS; })];
  yield ["shape", "an object in place of an array", bent((data) => { data.message.takers = { 0: data.message.takers[0], length: 1 }; })];
  yield ["shape", "a string in place of an array", single("uint8[]", '"12"')];
  yield ["shape", "an array as text in place of an array", single("uint8[]", '"[1,2]"')];
  yield ["shape", "an array in place of the message", bent((data) => { data.message = []; })];
  yield ["shape", "one item too few in an array of a fixed length", single("uint8[3]", "[1,2]")];
  yield ["shape", "one item too many in an array of a fixed length", single("uint8[3]", "[1,2,3,4]")];
  yield ["shape", "no items in an array of a fixed length", single("uint8[3]", "[]")];
  yield ["shape", "an inner array of the wrong length", single("uint8[2][]", "[[1,2],[3]]")];
  yield ["shape", "an array that is flatter than its type", single("uint8[][]", "[1,2]")];
  yield ["shape", "an array that is deeper than its type", single("uint8[]", "[[1]]")];
  yield ["shape", "an array in place of a value", single("uint8", "[1]")];
}

function* domains() {
  const changes = {
    "the chain id is negative": (domain) => { domain.chainId = -1; },
    "the chain id is 2^256": (domain) => { domain.chainId = (2n ** 256n).toString(); },
    "the chain id is a bool": (domain) => { domain.chainId = true; },
    "the chain id is a fraction": (domain) => { domain.chainId = 1.5; },
    "the chain id is in the form of CAIP-2": (domain) => { domain.chainId = "eip155:1"; },
    "the chain id is empty": (domain) => { domain.chainId = ""; },
    "the chain id is an array": (domain) => { domain.chainId = [1]; },
    "the contract has a wrong checksum": (domain) => { domain.verifyingContract = ADDRESS.replace("C5", "c5"); },
    "the contract has 19 bytes": (domain) => { domain.verifyingContract = "0x70997970c51812dc3a010c7d01b50e0d17dc79"; },
    "the contract is empty": (domain) => { domain.verifyingContract = ""; },
    "the name is a number": (domain) => { domain.name = 1; },
    "the version is a number": (domain) => { domain.version = 1; },
  };
  for (const [why, change] of Object.entries(changes)) yield ["domain", why, bent((data) => change(data.domain))];
  for (const [name, id] of [["2^63", 2n ** 63n], ["2^64 + 1, which is 1 to whoever cuts", 2n ** 64n + 1n]]) {
    yield ["bounds", `the chain id is ${name}`, bent((data) => { data.domain.chainId = id.toString(); })];
  }
  const salted = (salt) => bent((data) => {
    data.domain.salt = salt;
    data.types.EIP712Domain.push({ name: "salt", type: "bytes32" });
  });
  yield ["domain", "the salt has 31 bytes", salted(`0x${"01".repeat(31)}`)];
  yield ["domain", "the salt has 33 bytes", salted(`0x${"01".repeat(33)}`)];
  yield ["domain", "the domain is an array", bent((data) => { data.domain = []; })];
}
