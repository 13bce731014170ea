// The typed data that is bent, which is sound before.
import { domainType } from "../typed_data/domains.mjs";
import { struct } from "../typed_data/standards.mjs";
import { digestOfEthers, digestOfViem } from "../typed_data/view.mjs";

const DOMAIN = { name: "Exchange", version: "1", chainId: 1, verifyingContract: "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC" };

export const SOUND = {
  types: {
    EIP712Domain: domainType(DOMAIN),
    Order: struct("Party maker, Party[] takers, uint256 value, string note"),
    Party: struct("address account, uint8 share"),
  },
  primaryType: "Order",
  domain: DOMAIN,
  message: {
    maker: { account: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", share: 1 },
    takers: [{ account: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", share: 2 }],
    value: "1000",
    note: "hello",
  },
};

export const SOUND_TEXT = JSON.stringify(SOUND);

if (digestOfViem(SOUND_TEXT) !== digestOfEthers(SOUND_TEXT)) throw new Error("the sound one is not sound");

// With something changed in a copy of it.
export function bent(change) {
  const copy = structuredClone(SOUND);
  change(copy);
  return JSON.stringify(copy);
}

// One member of one type, whose value is this JSON. Without `EIP712Domain`.
export function single(type, value) {
  const head = { types: { Single: [{ name: "value", type }] }, primaryType: "Single", domain: { name: "x" } };
  return JSON.stringify(head).replace(/}$/, `,"message":{"value":${value}}}`);
}

// With one place of the text replaced. The place must be there, and once.
export function spliced(from, to) {
  if (SOUND_TEXT.split(from).length !== 2) throw new Error(`${from} does not stand there once`);
  return SOUND_TEXT.replace(from, () => to);
}
