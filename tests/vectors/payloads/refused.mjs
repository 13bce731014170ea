// What must be refused, bent on purpose. `accepted_by` names the libraries that read
// it all the same: there countersign is stricter than they are.
import { refusedTransactions } from "./refused/evm.mjs";
import { refusedMessages } from "./refused/solana.mjs";
import { refusedTypedData } from "./refused/typed_data.mjs";

export function refused() {
  return { cases: [...refusedTransactions(), ...refusedTypedData(), ...refusedMessages()] };
}
