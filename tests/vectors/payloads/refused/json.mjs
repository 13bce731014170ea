// What is wrong with the text before any type is looked at: members twice, too many
// or too few, and what is no JSON.
import { SOUND, SOUND_TEXT, bent, spliced } from "./sound.mjs";

export function* json() {
  for (const [why, text] of duplicates()) yield ["duplicate", why, text];
  for (const [why, text] of extra()) yield ["extra", why, text];
  for (const [why, text] of missing()) yield ["missing", why, text];
  for (const [why, text] of malformed()) yield ["json", why, text];
}

function* duplicates() {
  yield ["value twice in the message", spliced('"value":"1000"', '"value":"1","value":"1000"')];
  yield ["value twice and the same", spliced('"value":"1000"', '"value":"1000","value":"1000"')];
  yield ["value and, escaped, value again", spliced('"value":"1000"', '"value":"1","\\u0076alue":"1000"')];
  yield ["value twice, the second with another type of JSON", spliced('"value":"1000"', '"value":"1000","value":null')];
  yield ["a struct twice in the message", spliced('"takers":[', '"maker":{"account":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC","share":1},"takers":[')];
  yield ["share twice in a struct", spliced('"share":1', '"share":9,"share":1')];
  yield ["share twice in a struct of an array", spliced('"share":2', '"share":9,"share":2')];
  yield ["chainId twice in the domain", spliced('"chainId":1', '"chainId":5,"chainId":1')];
  yield ["chainId and, escaped, chainId again", spliced('"chainId":1', '"chainId":5,"chainI\\u0064":1')];
  yield ["verifyingContract twice in the domain", spliced('"verifyingContract":"0x', '"verifyingContract":"0x0000000000000000000000000000000000000001","verifyingContract":"0x')];
  yield ["a type twice", spliced('"Party":[', '"Party":[{"name":"account","type":"address"}],"Party":[')];
  yield ["a type and, escaped, the type again", spliced('"Party":[', '"\\u0050arty":[{"name":"account","type":"address"}],"Party":[')];
  yield ["EIP712Domain twice", spliced('"Order":[', '"EIP712Domain":[],"Order":[')];
  yield ["a member's type twice", spliced('"type":"uint256"},{"name":"note"', '"type":"uint8","type":"uint256"},{"name":"note"')];
  yield ["a member's name twice", spliced('{"name":"note"', '{"name":"memo","name":"note"')];
  yield ["primaryType twice", spliced('"primaryType":"Order"', '"primaryType":"Party","primaryType":"Order"')];
  yield ["domain twice", spliced('"domain":{', '"domain":{"name":"x"},"domain":{')];
  yield ["message twice", spliced('"message":{', '"message":{},"message":{')];
  yield ["types twice", spliced('"types":{', '"types":{},"types":{')];
  yield ["__proto__ twice in the message", spliced('"value":"1000"', '"__proto__":1,"__proto__":2,"value":"1000"')];
}

function* extra() {
  yield ["a member of the message that its type does not have", bent((data) => { data.message.fee = "1"; })];
  yield ["a member that differs in case", bent((data) => { data.message.Value = "5"; })];
  yield ["a member that differs in one look-alike letter", bent((data) => { data.message["v\u0430lue"] = "5"; })];
  yield ["a member with a byte of zero behind its name", bent((data) => { data.message["value\u0000"] = "5"; })];
  yield ["a member of a struct that its type does not have", bent((data) => { data.message.maker.fee = 1; })];
  yield ["a member of a struct of an array that its type does not have", bent((data) => { data.message.takers[0].fee = 1; })];
  yield ["__proto__ in the message", spliced('"value":"1000"', '"__proto__":{"value":"5"},"value":"1000"')];
  yield ["a member of the domain that EIP-712 does not know", bent((data) => { data.domain.chain = 1; })];
  yield ["a member of the domain in another case", bent((data) => { data.domain.chainid = 5; })];
  yield ["a member at the top", bent((data) => { data.metadata = {}; })];
  yield ["a primary type in another case at the top", bent((data) => { data.primarytype = "Party"; })];
  yield ["a member of a member's declaration", bent((data) => { data.types.Order[2].indexed = true; })];
}

function* missing() {
  for (const member of Object.keys(SOUND)) yield [`no ${member}`, bent((data) => { delete data[member]; })];
  yield ["no value in the message", bent((data) => { delete data.message.value; })];
  yield ["no struct in the message", bent((data) => { delete data.message.maker; })];
  yield ["no array in the message", bent((data) => { delete data.message.takers; })];
  yield ["no share in a struct", bent((data) => { delete data.message.maker.share; })];
  yield ["no share in a struct of an array", bent((data) => { delete data.message.takers[0].share; })];
  yield ["no string in the message", bent((data) => { delete data.message.note; })];
  yield ["no type in a member's declaration", bent((data) => { delete data.types.Order[2].type; })];
  yield ["no name in a member's declaration", bent((data) => { delete data.types.Order[2].name; })];
  const nulls = {
    "the value": (data) => { data.message.value = null; },
    "a struct": (data) => { data.message.maker = null; },
    "an array": (data) => { data.message.takers = null; },
    "an item of an array": (data) => { data.message.takers = [null]; },
    "a string": (data) => { data.message.note = null; },
    "the chain id": (data) => { data.domain.chainId = null; },
    "the domain's name": (data) => { data.domain.name = null; },
    "the domain": (data) => { data.domain = null; },
    "the message": (data) => { data.message = null; },
    "the types": (data) => { data.types = null; },
    "the primary type": (data) => { data.primaryType = null; },
  };
  for (const [what, change] of Object.entries(nulls)) yield [`null in place of ${what}`, bent(change)];
}

function* malformed() {
  yield ["a brace behind the end", `${SOUND_TEXT}}`];
  yield ["a word behind the end", `${SOUND_TEXT} true`];
  yield ["a second document behind the end", SOUND_TEXT + SOUND_TEXT];
  yield ["a byte of zero behind the end", `${SOUND_TEXT}\u0000`];
  yield ["a byte order mark in front", `\ufeff${SOUND_TEXT}`];
  yield ["a space that JSON does not know in front", `\u00a0${SOUND_TEXT}`];
  yield ["the last brace is missing", SOUND_TEXT.slice(0, -1)];
  yield ["half of it", SOUND_TEXT.slice(0, SOUND_TEXT.length >> 1)];
  yield ["nothing", ""];
  yield ["spaces", "  "];
  yield ["null", "null"];
  yield ["an array around it", `[${SOUND_TEXT}]`];
  yield ["a string with the text in it", JSON.stringify(SOUND_TEXT)];
  yield ["a comment", spliced('"domain":{', '/* */"domain":{')];
  yield ["a comma before a brace", spliced('"note":"hello"}', '"note":"hello",}')];
  yield ["single quotes", spliced('"hello"', "'hello'")];
  yield ["a name without quotes", spliced('"note":"hello"', 'note:"hello"')];
  yield ["a new line in a string", spliced('"hello"', '"hel\nlo"')];
  yield ["an escape that JSON does not know", spliced('"hello"', '"\\x41"')];
  yield ["half a surrogate pair, escaped", spliced('"hello"', '"\\ud83d"')];
  yield ["a surrogate pair in the wrong order, escaped", spliced('"hello"', '"\\ude00\\ud83d"')];
  yield ["half a surrogate pair in a name", spliced('"note":"hello"', '"note":"hello","\\ud83d":1')];
  yield ["a string that is not UTF-8", Buffer.from(spliced('"hello"', '"hel\u00fflo"'), "latin1")];
  yield ["UTF-16", Buffer.from(SOUND_TEXT, "utf16le")];
  yield ["arrays 5,000 deep", spliced('"hello"', "[".repeat(5_000) + "]".repeat(5_000))];
  yield ["objects 1,000 deep in a member that the type does not have", spliced('"note":"hello"', `"note":"hello","more":${'{"a":'.repeat(1_000)}1${"}".repeat(1_000)}`)];
}
