// Writes the vectors beside this file. With --check it says whether they are what it
// would write, and writes nothing.
import { readFileSync, writeFileSync } from "node:fs";
import { evm } from "./evm.mjs";
import { personal } from "./personal.mjs";
import { refused } from "./refused.mjs";
import { solana } from "./solana.mjs";
import { typedData } from "./typed_data.mjs";

const check = process.argv.includes("--check");
const made = { evm, typed_data: typedData, personal, solana, refused };
for (const [name, make] of Object.entries(made)) {
  const lists = await make();
  const text = written(lists);
  const file = new URL(`${name}.json`, import.meta.url);
  if (!check) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`${name}.json is not what generate.mjs writes`);
    process.exitCode = 1;
  }
  for (const [list, cases] of Object.entries(lists)) console.log(`${name} ${list}: ${cases.length}`);
}

// One case a line, for whoever reads a difference.
function written(lists) {
  const parts = Object.entries(lists).map(([list, cases]) => {
    requireDistinct(cases.map((one) => one.name ?? `${one.kind}: ${one.why}`));
    return `${JSON.stringify(list)}: [\n${cases.map((one) => JSON.stringify(one)).join(",\n")}\n]`;
  });
  return `{${parts.join(",\n")}}\n`;
}

function requireDistinct(names) {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two cases have the name ${twice}`);
}
