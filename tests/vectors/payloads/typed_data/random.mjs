// Typed data whose types and values are drawn at random.
import { DOMAIN, MEMBERS } from "./domains.mjs";
import { Random } from "../random.mjs";

const STRUCTS = ["Root", "Alpha", "beta", "Gamma9", "_delta"];

export function* randomTypedData(count) {
  for (let index = 0; index < count; index++) {
    const random = new Random(`typed data ${index}`);
    const types = Object.fromEntries(STRUCTS.map((name, level) => [name, members(random, level)]));
    const domain = Object.fromEntries(
      MEMBERS.filter(() => random.below(2) === 1).map(([name, , value]) => [name, value]),
    );
    yield {
      name: `random ${index}`,
      domain: Object.keys(domain).length === 0 ? DOMAIN : domain,
      types,
      primaryType: STRUCTS[0],
      message: value(random, types, STRUCTS[0]),
    };
  }
}

// A struct refers to the next one, so that every one is used, and to later ones.
function members(random, level) {
  const next = STRUCTS[level + 1];
  const drawn = Array.from({ length: 1 + random.below(3) }, () => drawType(random, level));
  return [...drawn, ...(next === undefined ? [] : [next])].map((type, index) => ({ name: `m${index}`, type }));
}

function drawType(random, level) {
  const width = 1 + random.below(32);
  const later = STRUCTS.slice(level + 1);
  const base = random.pick(["address", "bool", "string", "bytes", `uint${8 * width}`, `int${8 * width}`, `bytes${width}`, ...later.slice(0, 2)]);
  return base + random.pick(["", "", "", "", "[]", "[2]", "[1][]"]);
}

function value(random, types, type) {
  const array = type.match(/^(.*)\[(\d*)\]$/);
  if (array !== null) {
    const length = array[2] === "" ? random.below(3) : Number(array[2]);
    return Array.from({ length }, () => value(random, types, array[1]));
  }
  if (types[type] !== undefined) {
    return Object.fromEntries(types[type].map((member) => [member.name, value(random, types, member.type)]));
  }
  const [, kind, size] = type.match(/^([a-z]+)(\d*)$/);
  if (kind === "address") return random.hex(20);
  if (kind === "bool") return random.below(2) === 1;
  if (kind === "string") return random.bytes(random.below(20)).toString("base64");
  if (kind === "bytes") return random.hex(size === "" ? random.below(40) : Number(size));
  const unsigned = random.integer(Number(size));
  return kind === "uint" ? unsigned : unsigned - 2n ** BigInt(size - 1);
}
