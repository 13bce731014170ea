// The libraries that make and read the vectors, with the versions that are installed.
import { readFileSync } from "node:fs";

function named(name) {
  const entry = import.meta.resolve(name);
  const folder = `/node_modules/${name}/`;
  const manifest = new URL(entry.slice(0, entry.lastIndexOf(folder)) + folder + "package.json");
  return `${name} ${JSON.parse(readFileSync(manifest, "utf8")).version}`;
}

export const VIEM = named("viem");
export const ETHERS = named("ethers");
export const WEB3 = named("@solana/web3.js");
