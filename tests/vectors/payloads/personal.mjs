// Personal messages of EIP-191 (version 0x45, "E").
import { hashMessage, hexToBytes, stringToHex } from "viem";
import { hashMessage as hashMessageOfEthers } from "ethers";
import { ETHERS, VIEM } from "./libraries.mjs";
import { Random } from "./random.mjs";

export function personal() {
  const cases = [...messages()].map(({ name, payload }, index) => {
    const [viem, ethers] = [hashMessage({ raw: payload }), hashMessageOfEthers(hexToBytes(payload))];
    if (viem !== ethers) throw new Error(`two digests of ${name}`);
    return { name, made_by: index % 2 === 0 ? VIEM : ETHERS, payload, digest: viem, view: viewOf(payload) };
  });
  return { cases };
}

function viewOf(payload) {
  const bytes = hexToBytes(payload);
  let text = null;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Not UTF-8: there is no text.
  }
  return { length: bytes.length, text };
}

const TEXTS = {
  empty: "",
  "one letter": "a",
  "hello world": "hello world",
  "a new line at the end": "hello world\n",
  "lines of Windows": "a\r\nb\r\n",
  "spaces around": "  a  ",
  NUL: "\u0000",
  "the prefix itself": "\u0019Ethereum Signed Message:\n5hello",
  "hexadecimal digits of a hash": "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
  umlauts: "Größe über alles",
  composed: "\u00e9",
  decomposed: "e\u0301",
  "look-alike letters": "р\u0430ypal.com",
  "right to left": "\u202eevil\u202c",
  Chinese: "签名消息",
  "outside the basic plane": "😀𝔘",
  "joined emoji": "👩‍👩‍👧‍👦",
  "byte order mark": "\ufeffabc",
  "the last code point": "\u{10ffff}",
  "sign in with Ethereum": [
    "example.com wants you to sign in with your Ethereum account:",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "",
    "Sign in.",
    "",
    "URI: https://example.com/login",
    "Version: 1",
    "Chain ID: 1",
    "Nonce: 32891756",
    "Issued At: 2026-01-01T00:00:00Z",
  ].join("\n"),
};

const BYTES = {
  "no UTF-8: 0xff": "0xff",
  "no UTF-8: overlong slash": "0xc0af",
  "no UTF-8: a surrogate": "0xeda080",
  "no UTF-8: above the last code point": "0xf4908080",
  "no UTF-8: cut": "0xe282",
  "no UTF-8: a continuation alone": "0x80",
  "the prefix of EIP-712": "0x1901",
};

function* messages() {
  for (const [name, text] of Object.entries(TEXTS)) yield { name, payload: stringToHex(text) };
  yield* Object.entries(BYTES).map(([name, payload]) => ({ name, payload }));
  // The length is hashed in decimal.
  for (const length of [2, 9, 10, 11, 31, 32, 33, 99, 100, 101, 255, 256, 999, 1000, 1001]) {
    yield { name: `${length} letters`, payload: stringToHex("countersign".repeat(100).slice(0, length)) };
  }
  for (const length of [9, 10, 20, 32, 64, 99, 100, 300, 1000]) {
    yield { name: `${length} random bytes`, payload: new Random(`message ${length}`).hex(length) };
  }
}
