// What viem and ethers read from the bytes of an unsigned transaction.
import { getAddress, hexToBytes, parseTransaction, size, slice } from "viem";
import { Transaction } from "ethers";
import { ETHERS, VIEM } from "../libraries.mjs";
import { readWithViem, readWithEthers } from "./calls.mjs";

const TYPES = ["legacy", "eip2930", "eip1559", "eip4844", "eip7702"];

export function viewOfViem(payload) {
  const read = parseTransaction(payload);
  if (read.r !== undefined || read.sidecars !== undefined) throw new Error("signed, or with its blobs");
  return view(TYPES.indexOf(read.type), {
    ...read,
    gasLimit: read.gas,
    maxFeePerGas: read.gasPrice ?? read.maxFeePerGas,
    authorizations: read.authorizationList,
  }, readWithViem);
}

export function viewOfEthers(payload) {
  const read = Transaction.from(payload);
  if (read.signature !== null) throw new Error("signed");
  // Reading and writing again gives the same bytes, or it read something else.
  if (read.unsignedSerialized !== payload) throw new Error("not canonical");
  return view(read.type, {
    chainId: read.chainId,
    nonce: read.nonce,
    gasLimit: read.gasLimit,
    maxFeePerGas: read.gasPrice ?? read.maxFeePerGas,
    maxPriorityFeePerGas: read.maxPriorityFeePerGas,
    maxFeePerBlobGas: read.maxFeePerBlobGas,
    to: read.to,
    value: read.value,
    data: read.data,
    accessList: read.accessList,
    authorizations: read.authorizationList,
    blobVersionedHashes: read.blobVersionedHashes,
  }, readWithEthers);
}

// The view on which both agree, and who reads it.
export function agreedView(payload) {
  const ethers = viewOfEthers(payload);
  if (isBeyondViem(ethers)) return { read_by: [ETHERS], view: ethers };
  const viem = viewOfViem(payload);
  if (JSON.stringify(viem) !== JSON.stringify(ethers)) {
    throw new Error(`viem and ethers disagree about ${payload}:\n${JSON.stringify(viem)}\n${JSON.stringify(ethers)}`);
  }
  return { read_by: [VIEM, ETHERS], view: viem };
}

// viem's chain ids are JavaScript's numbers. Above 2^53 - 1 it rounds the one of a
// legacy transaction without a word and refuses the others.
export function isBeyondViem(view) {
  const ids = [view, ...view.authorizations].map((entry) => BigInt(entry.chain_id));
  return ids.some((id) => id > BigInt(Number.MAX_SAFE_INTEGER));
}

function view(type, read, callOf) {
  const data = read.data ?? "0x";
  const decimal = (value) => BigInt(value ?? 0).toString();
  const from = (first, value) => (type >= first ? decimal(value) : null);
  const called = read.to !== undefined && read.to !== null;
  return {
    type: TYPES[type],
    chain_id: decimal(read.chainId),
    nonce: decimal(read.nonce),
    gas_limit: decimal(read.gasLimit),
    max_fee_per_gas: decimal(read.maxFeePerGas),
    max_priority_fee_per_gas: from(2, read.maxPriorityFeePerGas),
    max_fee_per_blob_gas: type === 3 ? decimal(read.maxFeePerBlobGas) : null,
    to: called ? getAddress(read.to) : null,
    value: decimal(read.value),
    data_length: hexToBytes(data).length,
    selector: called && size(data) >= 4 ? slice(data, 0, 4) : null,
    access_list: (read.accessList ?? []).map((entry) => getAddress(entry.address)),
    authorizations: (read.authorizations ?? []).map((entry) => ({
      chain_id: decimal(entry.chainId),
      address: getAddress(entry.address),
      nonce: decimal(entry.nonce),
    })),
    blobs: (read.blobVersionedHashes ?? []).length,
    call: called ? callOf(data) : null,
  };
}
