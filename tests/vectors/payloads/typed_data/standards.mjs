// Typed data of standards and protocols: the types as their specifications declare
// them, with values of our own.
import { DOMAIN } from "./domains.mjs";
import { Random } from "../random.mjs";

// `struct("address to, uint256 value")`
export function struct(declaration) {
  return declaration.split(",").filter((member) => member.trim() !== "").map((member) => {
    const [type, name] = member.trim().split(" ");
    return { name, type };
  });
}

const USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
const DAI = "0x6B175474E89094C44Da98b954EedeAC495271d0F";
const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const SEAPORT = "0x0000000000000068F116a894984e2DB1123eB395";
const COW = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826";
const BOB = "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB";
const UNLIMITED = 2n ** 256n - 1n;

const PERSON = struct("string name, address wallet");
const DETAILS = struct("address token, uint160 amount, uint48 expiration, uint48 nonce");
const PERMISSIONS = struct("address token, uint256 amount");
const OFFER = struct("uint8 itemType, address token, uint256 identifierOrCriteria, uint256 startAmount, uint256 endAmount");
const ORDER_COMPONENTS = {
  OrderComponents: struct(
    "address offerer, address zone, OfferItem[] offer, ConsiderationItem[] consideration, uint8 orderType, uint256 startTime, uint256 endTime, bytes32 zoneHash, uint256 salt, bytes32 conduitKey, uint256 counter",
  ),
  OfferItem: OFFER,
  ConsiderationItem: [...OFFER, { name: "recipient", type: "address" }],
};

// Each with the digest that its specification or reference implementation prints,
// where there is one.
export function* standards() {
  yield {
    name: "the example of EIP-712: Mail",
    digest: "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
    domain: DOMAIN,
    types: { Person: PERSON, Mail: struct("Person from, Person to, string contents") },
    primaryType: "Mail",
    message: { from: { name: "Cow", wallet: COW }, to: { name: "Bob", wallet: BOB }, contents: "Hello, Bob!" },
  };
  yield {
    name: "Mail to several, with several wallets each",
    digest: "0xa85c2e2b118698e88db68a8105b794a8cc7cec074e89ef991cb4f5f533819cc2",
    domain: DOMAIN,
    types: {
      Person: struct("string name, address[] wallets"),
      Mail: struct("Person from, Person[] to, string contents"),
    },
    primaryType: "Mail",
    message: {
      from: { name: "Cow", wallets: [COW, "0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeeF"] },
      to: [{
        name: "Bob",
        wallets: [BOB, "0xB0BdaBea57B0BDABeA57b0bdABEA57b0BDabEa57", "0xB0B0b0b0b0b0B000000000000000000000000000"],
      }],
      contents: "Hello, Bob!",
    },
  };
  yield* permits();
  yield* orders();
  yield* others();
}

function* permits() {
  const owner = COW;
  for (const value of [1_000_000n, UNLIMITED]) {
    yield {
      name: `ERC-2612 Permit of ${value}`,
      domain: { name: "USD Coin", version: "2", chainId: 1n, verifyingContract: USDC },
      types: { Permit: struct("address owner, address spender, uint256 value, uint256 nonce, uint256 deadline") },
      primaryType: "Permit",
      message: { owner, spender: BOB, value, nonce: 0n, deadline: value === UNLIMITED ? UNLIMITED : 1_900_000_000n },
    };
  }
  yield {
    name: "Permit of DAI",
    domain: { name: "Dai Stablecoin", version: "1", chainId: 1n, verifyingContract: DAI },
    types: { Permit: struct("address holder, address spender, uint256 nonce, uint256 expiry, bool allowed") },
    primaryType: "Permit",
    message: { holder: owner, spender: BOB, nonce: 1n, expiry: 0n, allowed: true },
  };
  const domain = { name: "Permit2", chainId: 8453n, verifyingContract: PERMIT2 };
  const details = { token: USDC, amount: 2n ** 160n - 1n, expiration: 2n ** 48n - 1n, nonce: 0n };
  yield {
    name: "Permit2 PermitSingle",
    domain,
    types: { PermitSingle: struct("PermitDetails details, address spender, uint256 sigDeadline"), PermitDetails: DETAILS },
    primaryType: "PermitSingle",
    message: { details, spender: BOB, sigDeadline: 1_900_000_000n },
  };
  yield {
    name: "Permit2 PermitBatch",
    domain,
    types: { PermitBatch: struct("PermitDetails[] details, address spender, uint256 sigDeadline"), PermitDetails: DETAILS },
    primaryType: "PermitBatch",
    message: { details: [details, { ...details, token: DAI, amount: 1n, nonce: 5n }], spender: BOB, sigDeadline: UNLIMITED },
  };
  yield {
    name: "Permit2 PermitTransferFrom",
    domain,
    types: { PermitTransferFrom: struct("TokenPermissions permitted, address spender, uint256 nonce, uint256 deadline"), TokenPermissions: PERMISSIONS },
    primaryType: "PermitTransferFrom",
    message: { permitted: { token: DAI, amount: 10n ** 18n }, spender: BOB, nonce: 2n ** 200n, deadline: 1n },
  };
  yield {
    name: "Permit2 PermitBatchWitnessTransferFrom",
    domain,
    types: {
      PermitBatchWitnessTransferFrom: struct(
        "TokenPermissions[] permitted, address spender, uint256 nonce, uint256 deadline, Witness witness",
      ),
      TokenPermissions: PERMISSIONS,
      Witness: struct("address user, bytes32 orderHash"),
    },
    primaryType: "PermitBatchWitnessTransferFrom",
    message: {
      permitted: [{ token: DAI, amount: 1n }, { token: USDC, amount: 2n }],
      spender: BOB,
      nonce: 0n,
      deadline: 3n,
      witness: { user: COW, orderHash: new Random("witness").hex(32) },
    },
  };
  yield {
    name: "ERC-3009 TransferWithAuthorization, a domain with salt and without chain id",
    domain: { name: "USD Coin (PoS)", version: "1", verifyingContract: "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174", salt: `0x${"89".padStart(64, "0")}` },
    types: { TransferWithAuthorization: struct("address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce") },
    primaryType: "TransferWithAuthorization",
    message: { from: COW, to: BOB, value: 5n, validAfter: 0n, validBefore: 2n ** 64n, nonce: new Random("3009").hex(32) },
  };
}

function* orders() {
  const random = new Random("orders");
  const item = { itemType: 2n, token: random.hex(20), identifierOrCriteria: random.integer(256), startAmount: 1n, endAmount: 1n };
  const order = (offers, considerations) => ({
    offerer: COW,
    zone: "0x0000000000000000000000000000000000000000",
    offer: Array.from({ length: offers }, () => item),
    consideration: Array.from({ length: considerations }, () => ({ ...item, itemType: 0n, recipient: BOB })),
    orderType: 0n,
    startTime: 1_700_000_000n,
    endTime: 1_800_000_000n,
    zoneHash: `0x${"00".repeat(32)}`,
    salt: random.integer(256),
    conduitKey: random.hex(32),
    counter: 0n,
  });
  const domain = { name: "Seaport", version: "1.6", chainId: 1n, verifyingContract: SEAPORT };
  for (const [offers, considerations] of [[1, 2], [0, 1], [3, 0]]) {
    yield {
      name: `Seaport order: ${offers} offered, ${considerations} considered`,
      domain,
      types: ORDER_COMPONENTS,
      primaryType: "OrderComponents",
      message: order(offers, considerations),
    };
  }
  yield {
    name: "Seaport bulk order: an array of two by two",
    domain,
    types: { BulkOrder: struct("OrderComponents[2][2] tree"), ...ORDER_COMPONENTS },
    primaryType: "BulkOrder",
    message: { tree: [[order(1, 0), order(0, 1)], [order(0, 0), order(1, 1)]] },
  };
  yield {
    name: "CoW order, enumerations as strings",
    domain: { name: "Gnosis Protocol", version: "v2", chainId: 100n, verifyingContract: "0x9008D19f58AAbD9eD0D60971565AA8510560ab41" },
    types: {
      Order: struct(
        "address sellToken, address buyToken, address receiver, uint256 sellAmount, uint256 buyAmount, uint32 validTo, bytes32 appData, uint256 feeAmount, string kind, bool partiallyFillable, string sellTokenBalance, string buyTokenBalance",
      ),
    },
    primaryType: "Order",
    message: {
      sellToken: USDC, buyToken: DAI, receiver: COW, sellAmount: 10n ** 9n, buyAmount: 999n * 10n ** 18n, validTo: 2n ** 32n - 1n,
      appData: random.hex(32), feeAmount: 0n, kind: "sell", partiallyFillable: false, sellTokenBalance: "erc20", buyTokenBalance: "erc20",
    },
  };
}

function* others() {
  const random = new Random("other standards");
  yield {
    name: "Safe transaction, a domain without name",
    domain: { chainId: 1n, verifyingContract: random.hex(20) },
    types: { SafeTx: struct("address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce") },
    primaryType: "SafeTx",
    message: {
      to: USDC, value: 0n, data: random.hex(68), operation: 1n, safeTxGas: 0n, baseGas: 0n, gasPrice: 0n,
      gasToken: `0x${"00".repeat(20)}`, refundReceiver: `0x${"00".repeat(20)}`, nonce: 42n,
    },
  };
  yield {
    name: "Governor Ballot",
    domain: { name: "Governor", version: "1", chainId: 1n, verifyingContract: random.hex(20) },
    types: { Ballot: struct("uint256 proposalId, uint8 support, address voter, uint256 nonce") },
    primaryType: "Ballot",
    message: { proposalId: random.integer(256), support: 1n, voter: COW, nonce: 0n },
  };
  yield {
    name: "ERC-2771 ForwardRequest",
    domain: { name: "Forwarder", version: "1", chainId: 137n, verifyingContract: random.hex(20) },
    types: { ForwardRequest: struct("address from, address to, uint256 value, uint256 gas, uint256 nonce, uint48 deadline, bytes data") },
    primaryType: "ForwardRequest",
    message: { from: COW, to: BOB, value: 0n, gas: 100_000n, nonce: 3n, deadline: 1_900_000_000n, data: "0x" },
  };
  yield {
    name: "Snapshot vote, a domain without chain",
    domain: { name: "snapshot", version: "0.1.4" },
    types: { Vote: struct("address from, string space, uint64 timestamp, bytes32 proposal, uint32 choice, string reason, string app, string metadata") },
    primaryType: "Vote",
    message: { from: COW, space: "ens.eth", timestamp: 1_700_000_000n, proposal: random.hex(32), choice: 1n, reason: "", app: "snapshot", metadata: "{}" },
  };
  yield {
    name: "Hyperliquid UsdSend, a colon in the type's name",
    domain: { name: "HyperliquidSignTransaction", version: "1", chainId: 42_161n, verifyingContract: `0x${"00".repeat(20)}` },
    types: { "HyperliquidTransaction:UsdSend": struct("string hyperliquidChain, string destination, string amount, uint64 time") },
    primaryType: "HyperliquidTransaction:UsdSend",
    message: { hyperliquidChain: "Mainnet", destination: BOB, amount: "1.5", time: 1_700_000_000_000n },
  };
}
