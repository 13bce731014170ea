// The token calls that a decoder is expected to know, and their reading by viem.
import { decodeFunctionData, encodeFunctionData, parseAbi, toFunctionSignature } from "viem";
import { Interface } from "ethers";

// Which argument is which. `transferFrom` and `approve` have the same selector for
// both standards: `amount` is then an amount or a token's number.
const KNOWN = [
  ["function transfer(address to, uint256 amount)", ["recipient", "amount"]],
  ["function transferFrom(address from, address to, uint256 amount)", ["sender", "recipient", "amount"]],
  ["function approve(address spender, uint256 amount)", ["spender", "amount"]],
  ["function increaseAllowance(address spender, uint256 amount)", ["spender", "amount"]],
  ["function decreaseAllowance(address spender, uint256 amount)", ["spender", "amount"]],
  ["function safeTransferFrom(address from, address to, uint256 id)", ["sender", "recipient", "amount"]],
  ["function safeTransferFrom(address from, address to, uint256 id, bytes data)", ["sender", "recipient", "amount", null]],
  ["function setApprovalForAll(address operator, bool approved)", ["spender", "approved"]],
].map(([declaration, roles]) => {
  const [item] = parseAbi([declaration]);
  return { abi: [item], fragments: new Interface([declaration]), function: toFunctionSignature(item), roles };
});

export const FUNCTIONS = KNOWN.map((known) => known.function);

export function encode(signature, args) {
  const known = KNOWN.find((known) => known.function === signature);
  return encodeFunctionData({ abi: known.abi, args });
}

export function encodeWithEthers(signature, args) {
  const known = KNOWN.find((known) => known.function === signature);
  return known.fragments.encodeFunctionData(signature, args);
}

// The call as viem reads it, or null where it reads none of these.
export function readWithViem(data) {
  return read((known) => decodeFunctionData({ abi: known.abi, data }).args);
}

export function readWithEthers(data) {
  return read((known) => known.fragments.parseTransaction({ data }).args.toArray());
}

function read(argumentsOf) {
  for (const known of KNOWN) {
    let args;
    try {
      args = argumentsOf(known);
    } catch {
      continue;
    }
    const call = { function: known.function, sender: null, recipient: null, spender: null, amount: null, approved: null };
    known.roles.forEach((role, index) => {
      if (role !== null) call[role] = typeof args[index] === "bigint" ? args[index].toString() : args[index];
    });
    return call;
  }
  return null;
}
