// Calldata that begins like a known call and is not its encoding. The transaction
// around it is canonical, so that it can be signed; what the call says is what the
// two libraries do not agree on, or read where a contract might not.
import { FUNCTIONS, encode, readWithEthers, readWithViem } from "./calls.mjs";
import { viem } from "./makers.mjs";
import { Random } from "../random.mjs";

const TOKEN = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";

export async function unclearCalls() {
  const cases = [];
  for (const { name, data } of bent()) {
    const made = await viem.make("eip1559", { to: TOKEN, data, gas: 90_000n });
    cases.push({ name, made_by: viem.name, ...made, viem: readWithViem(data), ethers: readWithEthers(data) });
  }
  return cases;
}

function* bent() {
  const random = new Random("unclear calls");
  for (const signature of FUNCTIONS) {
    const kinds = signature.slice(signature.indexOf("(") + 1, -1).split(",");
    const args = kinds.map((kind) =>
      kind === "address" ? random.hex(20) : kind === "bool" ? true : kind === "bytes" ? "0xabcdef" : 1_000_000n,
    );
    const data = encode(signature, args);
    yield { name: `${signature}: no arguments`, data: data.slice(0, 10) };
    yield { name: `${signature}: one byte short`, data: data.slice(0, -2) };
    yield { name: `${signature}: one byte more`, data: `${data}00` };
    yield { name: `${signature}: one word more`, data: data + "ab".repeat(32) };
    yield { name: `${signature}: an address with a thirteenth byte`, data: withByte(data, 4 + 11, "01") };
    yield { name: `${signature}: an address with a first byte`, data: withByte(data, 4, "ff") };
    const bool = kinds.indexOf("bool");
    if (bool >= 0) {
      yield { name: `${signature}: a bool of 2`, data: withByte(data, 4 + 32 * bool + 31, "02") };
      yield { name: `${signature}: a bool with a first byte`, data: withByte(data, 4 + 32 * bool, "01") };
    }
    const bytes = kinds.indexOf("bytes");
    if (bytes >= 0) {
      const offset = 4 + 32 * bytes + 31;
      yield { name: `${signature}: bytes that begin at the head`, data: withByte(data, offset, "00") };
      yield { name: `${signature}: bytes that begin behind the end`, data: withByte(data, offset, "ff") };
      yield { name: `${signature}: bytes with dirty padding`, data: withByte(data, data.length / 2 - 2, "01") };
    }
  }
}

function withByte(data, index, hex) {
  const position = 2 + 2 * index;
  return data.slice(0, position) + hex + data.slice(position + 2);
}
