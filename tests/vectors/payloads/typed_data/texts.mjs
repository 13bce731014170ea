// The JSON texts that applications hand over for the same typed data.
import { serializeTypedData } from "viem";
import { TypedDataEncoder } from "ethers";
import { domainType } from "./domains.mjs";

// viem's own text. It writes the domain only where `types` has `EIP712Domain`.
export function byViem({ domain, types, primaryType, message }) {
  return serializeTypedData({ domain, types: { EIP712Domain: domainType(domain), ...types }, primaryType, message });
}

// ethers' own text: what it sends with `eth_signTypedData_v4`.
export function byEthers({ domain, types, message }) {
  return JSON.stringify(TypedDataEncoder.getPayload(domain, types, message));
}

// What an application's own JSON.stringify gives: no `EIP712Domain`, and integers as
// numbers as far as JavaScript's are exact.
export function plain({ domain, types, primaryType, message }) {
  return JSON.stringify({ types, primaryType, domain, message }, (_, value) => {
    if (typeof value !== "bigint") return value;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  });
}

// Integers as hexadecimal strings where they are not negative, and indented.
export function hexadecimal({ domain, types, primaryType, message }) {
  const text = (_, value) => {
    if (typeof value !== "bigint") return value;
    return value < 0n ? value.toString() : `0x${value.toString(16)}`;
  };
  return JSON.stringify({ primaryType, message, types: { ...types, EIP712Domain: domainType(domain) }, domain }, text, 2);
}

// Every character of every string escaped that JSON lets one escape, and every
// object's members in reverse.
export function escaped({ domain, types, primaryType, message }) {
  const reverse = (_, value) => {
    if (typeof value === "bigint") return value.toString();
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).reverse());
  };
  const text = JSON.stringify({ domain, types, primaryType, message }, reverse);
  return text.replace(/"(?:[^"\\]|\\.)*"/g, (string) => {
    const units = Array.from({ length: JSON.parse(string).length }, (_, index) => JSON.parse(string).charCodeAt(index));
    return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
  });
}
