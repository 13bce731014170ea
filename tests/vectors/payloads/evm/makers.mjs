// The unsigned serialisation of one request, and the digest to be signed, by each
// library. A request is what a transaction says, with absent fields at zero.
import { keccak256, serializeTransaction } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { Transaction, Wallet } from "ethers";
import { ETHERS, VIEM } from "../libraries.mjs";
import { publishedKey } from "../random.mjs";

export const TYPES = ["legacy", "eip2930", "eip1559", "eip4844", "eip7702"];

const BLANK = {
  chainId: 1n,
  nonce: 0n,
  gas: 21_000n,
  maxFee: 30_000_000_000n,
  priorityFee: 1_000_000_000n,
  blobFee: 7n,
  to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  value: 0n,
  data: "0x",
  accessList: [],
  // { chainId, address, nonce }, each signed by the maker's own means.
  authorizations: [],
  blobHashes: [],
};

export const viem = {
  name: VIEM,
  async make(type, request) {
    const { fields, fees } = common(type, request);
    const authorizations = type === "eip7702" ? await Promise.all(fields.authorizations.map(authorizeWithViem)) : [];
    const payload = serializeTransaction({
      type,
      chainId: Number(fields.chainId),
      nonce: Number(fields.nonce),
      gas: fields.gas,
      to: fields.to ?? undefined,
      value: fields.value,
      data: fields.data,
      ...fees,
      ...(type === "legacy" ? {} : { accessList: fields.accessList }),
      ...(type === "eip4844" ? { blobVersionedHashes: fields.blobHashes } : {}),
      ...(type === "eip7702" ? { authorizationList: authorizations } : {}),
    });
    return { payload, digest: keccak256(payload) };
  },
};

export const ethers = {
  name: ETHERS,
  async make(type, request) {
    const { fields, fees } = common(type, request);
    const transaction = Transaction.from({
      type: TYPES.indexOf(type),
      chainId: fields.chainId,
      nonce: Number(fields.nonce),
      gasLimit: fields.gas,
      to: fields.to,
      value: fields.value,
      data: fields.data,
      ...fees,
      ...(type === "legacy" ? {} : { accessList: fields.accessList }),
      ...(type === "eip4844" ? { blobVersionedHashes: fields.blobHashes } : {}),
      ...(type === "eip7702" ? { authorizationList: fields.authorizations.map(authorizeWithEthers) } : {}),
    });
    return { payload: transaction.unsignedSerialized, digest: transaction.unsignedHash };
  },
};

function common(type, request) {
  const fields = { ...BLANK, ...request };
  const { maxFee, priorityFee, blobFee } = fields;
  const fees =
    type === "legacy" || type === "eip2930"
      ? { gasPrice: maxFee }
      : { maxFeePerGas: maxFee, maxPriorityFeePerGas: priorityFee };
  if (type === "eip4844") fees.maxFeePerBlobGas = blobFee;
  return { fields, fees };
}

// Signatures of RFC 6979: the same in every run, and the same by both.
function authorizeWithViem({ chainId, address, nonce }) {
  const account = privateKeyToAccount(publishedKey("authority"));
  return account.signAuthorization({ chainId: Number(chainId), address, nonce: Number(nonce) });
}

function authorizeWithEthers({ chainId, address, nonce }) {
  const wallet = new Wallet(publishedKey("authority"));
  return wallet.authorizeSync({ chainId, address, nonce });
}
