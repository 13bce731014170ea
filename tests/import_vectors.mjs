// Holds examples/clients/node/import-share.mjs against tests/vectors/import.json: what it
// believes of a statement, and what it writes as info.
//
//   node import_vectors.mjs SCRIPT VECTORS

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [script, vectors] = process.argv.slice(2);
const { Refused, believe, info, trustedKey } = await import(pathToFileURL(script));
const { statements, positive, negative } = JSON.parse(readFileSync(vectors, 'utf8'));

for (const { name, note, trust, now, refused, environment, key } of statements) {
  const say = () => believe(note, trustedKey(trust), new Date(now));
  if (refused) {
    assert.throws(say, Refused, `${name} is believed`);
  } else {
    const believed = say();
    assert.equal(believed.environment, environment, name);
    assert.equal(believed.importKey.toString('hex'), key, name);
  }
}
const byName = new Map(positive.map((vector) => [vector.name, vector]));
const sealed = [...positive, ...negative];
for (const vector of sealed) {
  const whole = { ...byName.get(vector.base), ...vector };
  assert.equal(info(whole.fields), whole.info, whole.name);
}
console.log(`${statements.length} statements, ${sealed.length} infos`);
