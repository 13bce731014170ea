// Checks signatures with the chains' own libraries. Reads one JSON object a line from
// standard input; see README.md. Prints a line for each that is wrong, and at the end
// how many are right. Fails when one is wrong, and when there is none.
import { createInterface } from "node:readline";
import { verifyOne } from "./verify/kinds.mjs";
import { selfTest } from "./verify/self_test.mjs";

if (process.argv.includes("--self-test")) {
  await selfTest();
} else {
  let [line, verified, wrong] = [0, 0, 0];
  for await (const text of createInterface({ input: process.stdin })) {
    line += 1;
    try {
      await verifyOne(JSON.parse(text));
      verified += 1;
    } catch (error) {
      wrong += 1;
      console.log(`line ${line}: ${String(error.message).split("\n")[0]}`);
    }
  }
  if (line === 0) console.log("nothing to verify");
  if (wrong > 0 || line === 0) process.exitCode = 1;
  console.log(`${verified} verified`);
}
