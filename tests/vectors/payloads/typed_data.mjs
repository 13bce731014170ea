// EIP-712 typed data, as JSON texts made by viem, by ethers and by applications.
import { hashTypedData } from "viem";
import { TypedDataEncoder } from "ethers";
import { ETHERS, VIEM } from "./libraries.mjs";
import { elementary } from "./typed_data/elementary.mjs";
import { randomTypedData } from "./typed_data/random.mjs";
import { alone } from "./typed_data/alone.mjs";
import { domains, shapes } from "./typed_data/shapes.mjs";
import { standards, struct } from "./typed_data/standards.mjs";
import * as texts from "./typed_data/texts.mjs";
import { digestOfEthers, digestOfViem, digestOrNull, forEthers, viewOf } from "./typed_data/view.mjs";

const hashOfViem = (data) => hashTypedData(data);
const hashOfEthers = (data) => {
  const { domain, types, message } = forEthers(data);
  return TypedDataEncoder.hash(domain, types, message);
};

// Who makes the text, and who the digest.
const FORMS = {
  serializeTypedData: { made_by: VIEM, text: texts.byViem, hash: hashOfViem },
  getPayload: { made_by: ETHERS, text: texts.byEthers, hash: hashOfEthers },
  "JSON.stringify, digest of viem": { made_by: VIEM, text: texts.plain, hash: hashOfViem },
  "JSON.stringify, digest of ethers": { made_by: ETHERS, text: texts.plain, hash: hashOfEthers },
  "hexadecimal integers": { made_by: VIEM, text: texts.hexadecimal, hash: hashOfViem },
  "everything escaped": { made_by: ETHERS, text: texts.escaped, hash: hashOfEthers },
};

export function typedData() {
  const cases = [];
  const add = (data, form) => cases.push(made(data, form));
  const forms = Object.keys(FORMS);
  for (const [index, data] of [...standards()].entries()) {
    add(data, forms[0]);
    add(data, forms[1]);
    add(data, forms[2 + (index % 2)]);
    if (index % 3 === 0) add(data, forms[4 + (index % 2)]);
  }
  for (const data of domains()) {
    add(data, "serializeTypedData");
    add(data, "JSON.stringify, digest of ethers");
  }
  const rest = [...elementary(), ...shapes(), ...randomTypedData(20)];
  for (const [index, data] of rest.entries()) add(data, forms[index % 4]);
  add(numbersOfDomains("2^53 - 1", 2n ** 53n - 1n), "getPayload");
  // ethers writes a larger chain id in hexadecimal.
  add(numbersOfDomains("2^53", 2n ** 53n), "getPayload");
  add(numbersOfDomains("2^63 - 1", 2n ** 63n - 1n), "serializeTypedData");
  add(numbersOfDomains("2^63 - 1", 2n ** 63n - 1n), "JSON.stringify, digest of ethers");
  add(numbersOfDomains("0", 0n), "serializeTypedData");
  add(unused(), "serializeTypedData");
  for (const { data, by, text } of alone()) cases.push(readAlone(data, by, text));
  return { cases };
}

function made(data, form) {
  const { made_by, text: textOf, hash } = FORMS[form];
  const text = textOf(data);
  const digest = hash(data);
  const name = `${data.name}; ${form}`;
  for (const read of [digestOfViem(text), digestOfEthers(text), data.digest ?? digest]) {
    if (read !== digest) throw new Error(`two digests of ${name}`);
  }
  return { name, made_by, payload: text, digest, read_by: [VIEM, ETHERS], view: viewOf(text) };
}

// What one of the two refuses or hashes in another way, and EIP-712 allows.
function readAlone(data, by, text) {
  const [digest, other] = by === VIEM ? [digestOfViem, digestOfEthers] : [digestOfEthers, digestOfViem];
  const name = `${data.name}; ${by} alone`;
  if (digestOrNull(other, text) === digest(text)) throw new Error(`both read ${name}`);
  return { name, made_by: by, payload: text, digest: digest(text), read_by: [by], view: viewOf(text) };
}

function numbersOfDomains(name, chainId) {
  return { name: `chain id ${name}`, domain: { name: "x", chainId }, types: { Note: struct("string text") }, primaryType: "Note", message: { text: "x" } };
}

// As applications do that keep all their types in one place; ethers' own text
// cannot hold them.
function unused() {
  return {
    name: "types that the primary type does not use",
    domain: { name: "x" },
    types: { Note: struct("string text"), Above: struct("Note note, uint8 more"), Beside: struct("bytes blob") },
    primaryType: "Note",
    message: { text: "x" },
  };
}
