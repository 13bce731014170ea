// What is read from the JSON text of typed data. The digest is computed from the
// text alone by viem and by ethers; the type is encoded by ox, on which viem stands,
// and by ethers; the leaves are those that ethers visits.
import { getAddress, hashTypedData } from "viem";
import { TypedDataEncoder } from "ethers";
import { TypedData } from "ox";

export function digestOfViem(text) {
  return hashTypedData(JSON.parse(text));
}

export function digestOfEthers(text) {
  const { domain, types, message } = forEthers(JSON.parse(text));
  return TypedDataEncoder.hash(domain, types, message);
}

export function digestOrNull(digestOf, text) {
  try {
    return digestOf(text);
  } catch {
    return null;
  }
}

// ethers derives `EIP712Domain` and the primary type: it refuses the one in `types`
// and whatever the primary type does not use.
export function forEthers({ domain, types, primaryType, message }) {
  const used = {};
  const use = (type) => {
    const name = type.replace(/(\[\d*\])+$/, "");
    if (used[name] !== undefined || types[name] === undefined) return;
    used[name] = types[name];
    for (const member of types[name]) use(member.type);
  };
  use(primaryType);
  return { domain, types: used, message };
}

export function viewOf(text) {
  const { domain, types, primaryType, message } = JSON.parse(text);
  const encoded = TypedData.encodeType({ types, primaryType });
  const fields = fieldsOf(types, primaryType, message);
  requireSameOfEthers(forEthers({ domain, types, primaryType, message }), primaryType, encoded, fields);
  return {
    domain: {
      name: domain.name ?? null,
      version: domain.version ?? null,
      chain_id: domain.chainId === undefined ? null : BigInt(domain.chainId).toString(),
      verifying_contract: domain.verifyingContract === undefined ? null : getAddress(domain.verifyingContract.toLowerCase()),
      salt: domain.salt?.toLowerCase() ?? null,
    },
    primary_type: primaryType,
    encode_type: encoded,
    fields,
  };
}

function fieldsOf(types, primaryType, message) {
  const fields = [];
  const walk = (path, type, value) => {
    const array = type.match(/^(.*)\[\d*\]$/);
    if (array !== null) {
      fields.push([`${path}[]`, String(value.length)]);
      value.forEach((item, index) => walk(`${path}[${index}]`, array[1], item));
    } else if (types[type] !== undefined) {
      for (const member of types[type]) walk(path === "" ? member.name : `${path}.${member.name}`, member.type, value[member.name]);
    } else {
      fields.push([path, leaf(type, value)]);
    }
  };
  walk("", primaryType, message);
  return fields;
}

function leaf(type, value) {
  if (type === "string") return value;
  if (type === "bool") return String(value);
  if (type === "address") return getAddress(value.toLowerCase());
  if (type.startsWith("bytes")) return value.toLowerCase();
  return BigInt(value).toString();
}

// ethers has the same type, and visits the same leaves. It knows no type that
// contains itself.
function requireSameOfEthers({ types, message }, primaryType, encoded, fields) {
  let encoder;
  try {
    encoder = TypedDataEncoder.from(types);
  } catch (error) {
    if (/circular type reference|missing primary type/.test(error.message)) return;
    throw error;
  }
  const visited = [];
  encoder.visit(message, (type, value) => visited.push(leaf(type, value)));
  const walked = fields.filter(([path]) => !path.endsWith("[]")).map(([, value]) => value);
  const same = JSON.stringify(visited) === JSON.stringify(walked) && encoder.encodeType(primaryType) === encoded;
  if (!same || encoder.primaryType !== primaryType) throw new Error("ethers visits another type or other leaves");
}
