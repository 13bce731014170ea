// Unsigned EVM transactions of all five types, made by viem and by ethers.
import { Random } from "./random.mjs";
import * as calls from "./evm/calls.mjs";
import * as edges from "./evm/edges.mjs";
import { TYPES, ethers, viem } from "./evm/makers.mjs";
import { unclearCalls } from "./evm/unclear.mjs";
import { agreedView, isBeyondViem } from "./evm/view.mjs";

export async function evm() {
  const cases = [];
  for (const [index, { name, type, request, maker }] of [...requests()].entries()) {
    const chosen = maker ?? (index % 2 === 0 ? viem : ethers);
    const made = await chosen.make(type, request);
    const read = agreedView(made.payload);
    if (!isBeyondViem(read.view)) await requireSame(type, request, made);
    cases.push({ name, made_by: chosen.name, ...made, ...read });
  }
  requireExampleOfEip155(cases[0]);
  return { cases, unclear_calls: await unclearCalls() };
}

// Whatever one library makes, the other makes byte for byte.
async function requireSame(type, request, made) {
  for (const maker of [viem, ethers]) {
    const other = await maker.make(type, request);
    if (other.payload !== made.payload || other.digest !== made.digest) {
      throw new Error(`viem and ethers make different bytes of ${type} ${made.payload}`);
    }
  }
}

// The signing data and hash as the EIP prints them.
function requireExampleOfEip155({ payload, digest }) {
  if (payload !== "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
    || digest !== "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53") {
    throw new Error("this is not the example of EIP-155");
  }
}

function* requests() {
  const example = {
    nonce: 9n,
    maxFee: 20n * 10n ** 9n,
    gas: 21_000n,
    to: `0x${"35".repeat(20)}`,
    value: 10n ** 18n,
  };
  for (const maker of [viem, ethers]) {
    yield { name: `the example of EIP-155, by ${maker.name}`, type: "legacy", request: example, maker };
  }
  for (const type of TYPES) {
    yield* edgesOf(type);
    yield* callsOf(type);
    yield* randomOf(type);
  }
}

// What a type must hold to be valid.
function required(type) {
  if (type === "eip4844") return { blobHashes: edges.BLOBS[0] };
  if (type === "eip7702") return { authorizations: edges.AUTHORIZATIONS[0] };
  return {};
}

function* edgesOf(type) {
  const at = (name, request, maker) => ({ name: `${type}: ${name}`, type, request: { ...required(type), ...request }, maker });
  for (const value of edges.VALUES) yield at(`value ${value}`, { value });
  for (const nonce of edges.NONCES) yield at(`nonce ${nonce}`, { nonce });
  for (const gas of edges.GAS) yield at(`gas ${gas}`, { gas });
  for (const fees of edges.FEES) yield at(`fee cap ${fees.maxFee}`, fees);
  for (const chainId of edges.CHAINS) yield at(`chain ${chainId}`, { chainId });
  yield at("the largest chain id of EIP-2294", { chainId: edges.LARGEST_CHAIN }, ethers);
  for (const to of edges.RECIPIENTS) yield at(`to ${to}`, { to });
  for (const data of edges.SINGLE_BYTES) yield at(`data ${data}`, { data });
  const lengths = type === "eip1559" ? edges.DATA : edges.DATA.slice(0, 6);
  for (const data of lengths) yield at(`${data.length / 2 - 1} bytes of data`, { data });
  if (type !== "eip4844" && type !== "eip7702") {
    yield at("creation", { to: null, data: edges.DATA[5] });
    yield at("creation without code", { to: null });
    yield at("creation with value, and code that begins like a transfer", { to: null, value: 5n, data: transferOf(type) });
  }
  if (type !== "legacy") {
    for (const [index, accessList] of edges.ACCESS_LISTS.entries()) yield at(`access list ${index}`, { accessList });
  }
  if (type === "eip4844") {
    for (const blobHashes of edges.BLOBS) yield at(`${blobHashes.length} blobs`, { blobHashes });
  }
  if (type === "eip7702") {
    for (const [index, authorizations] of edges.AUTHORIZATIONS.entries()) yield at(`authorisations ${index}`, { authorizations });
  }
}

function transferOf(label) {
  const random = new Random(`transfer ${label}`);
  return calls.encode("transfer(address,uint256)", [random.hex(20), random.integer(64)]);
}

// Every known call in every type; amounts from nothing to everything.
function* callsOf(type) {
  for (const signature of calls.FUNCTIONS) {
    const random = new Random(`call ${type} ${signature}`);
    const amount = random.pick([0n, 1n, 2n ** 63n, 2n ** 256n - 1n, random.integer(80)]);
    const args = signature.slice(signature.indexOf("(") + 1, -1).split(",").map((kind) => {
      if (kind === "address") return random.hex(20);
      if (kind === "bool") return random.below(2) === 1;
      return kind === "bytes" ? random.hex(random.below(70)) : amount;
    });
    const data = calls.encode(signature, args);
    if (data !== calls.encodeWithEthers(signature, args)) throw new Error(`two encodings of ${signature}`);
    yield {
      name: `${type}: ${signature}`,
      type,
      request: { ...required(type), to: random.hex(20), data, gas: 90_000n },
    };
  }
}

function* randomOf(type) {
  for (let index = 0; index < 6; index++) {
    const random = new Random(`random ${type} ${index}`);
    const maxFee = random.integer(1 + random.below(62));
    yield {
      name: `${type}: random ${index}`,
      type,
      request: {
        ...required(type),
        chainId: random.pick(edges.CHAINS),
        nonce: random.integer(1 + random.below(53)),
        gas: random.integer(1 + random.below(62)),
        maxFee,
        priorityFee: maxFee >> BigInt(random.below(10)),
        blobFee: random.integer(1 + random.below(62)),
        to: random.hex(20),
        value: random.integer(1 + random.below(256)),
        data: random.hex(random.below(100)),
        ...(type === "legacy" ? {} : { accessList: random.pick([[], ...edges.ACCESS_LISTS]) }),
        ...(type === "eip4844" ? { blobHashes: random.pick(edges.BLOBS) } : {}),
        ...(type === "eip7702" ? { authorizations: random.pick(edges.AUTHORIZATIONS) } : {}),
      },
    };
  }
}
