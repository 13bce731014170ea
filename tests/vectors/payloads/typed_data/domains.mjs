// Domains of EIP-712: every subset of the five members, in the order of the EIP.
export const MEMBERS = [
  ["name", "string", "Ether Mail"],
  ["version", "string", "1"],
  ["chainId", "uint256", 1n],
  ["verifyingContract", "address", "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"],
  ["salt", "bytes32", "0xf2d857f4a3edcb9b78b4d503bfe733db1e3f6cdc2b7971ee739626c97e86a558"],
];

export const DOMAIN = Object.fromEntries(MEMBERS.slice(0, 4).map(([name, , value]) => [name, value]));

// The members of `EIP712Domain` that a domain has.
export function domainType(domain) {
  return MEMBERS.filter(([name]) => domain[name] !== undefined).map(([name, type]) => ({ name, type }));
}

export function* subsets() {
  for (let mask = 0; mask < 2 ** MEMBERS.length; mask++) {
    yield Object.fromEntries(
      MEMBERS.filter((_, index) => mask & (1 << index)).map(([name, , value]) => [name, value]),
    );
  }
}
