// Imports a key of Ethereum that was made elsewhere, and signs with it.
//
//   node import-share.mjs --trust FILE --custody SOCKET --enclave SOCKET \
//     --wallet-id WALLET_ID [--key FILE] [--proto DIR]
//
// --trust is a file with the key of the instance, `name+hash+base64`, from somewhere else
// than the socket. --key is a file with the private key in hexadecimal, 64 digits; `-`
// reads it from standard input. Without it a new key is made: for a first try. --proto is
// the directory of the contract, here ../../../proto.
//
// README.md beside this file says how to get there, docs/import.md what happens.

import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { concatHex, numberToHex, toHex, verifyMessage } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';

const MESSAGE = 'signed with a key that was made elsewhere';

/** Nothing may be sealed to this. */
export class Refused extends Error {}

// === The statement: whose key is it that a share is sealed to? ===

/** Buffer.from alone skips what is no base64. */
function base64(text) {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0);
}

/** Name, hash and Ed25519 key of a verifier key (c2sp.org/signed-note). */
export function trustedKey(text) {
  const [, name, hash, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim()) ?? [];
  if (name === undefined) throw new Refused('the trusted key is not of the form name+hash+base64');
  const raw = base64(encoded);
  // The hash binds the name to the key: neither can be exchanged alone.
  const hashed = createHash('sha256').update(`${name}\n`).update(raw).digest().subarray(0, 4);
  if (raw.length !== 33 || raw[0] !== 1 || hashed.toString('hex') !== hash) {
    throw new Refused('the trusted key is no Ed25519 key, or has another hash');
  }
  const x = raw.subarray(1).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { name, hashed, key };
}

/** The environment and the public key of a statement that the trusted key signed. */
export function believe(note, { name, hashed, key }, now) {
  const end = note.indexOf('\n\n');
  if (end < 0) throw new Refused('this is no signed note');
  const text = note.slice(0, end + 1);
  const own = `\u2014 ${name} `;
  const signature = note
    .slice(end + 2)
    .split('\n')
    .filter((line) => line.startsWith(own)) // not a witness's
    .map((line) => base64(line.slice(own.length)))
    .find((raw) => raw.subarray(0, 4).equals(hashed));
  if (!signature) throw new Refused('the trusted key did not sign the statement');
  if (!verify(null, Buffer.from(text), key, signature.subarray(4))) {
    throw new Refused('the signature does not belong to this statement');
  }

  // The same key signs the audit log: the first line keeps the two apart.
  const lines = text.split('\n');
  const [kind, origin, encoded, until] = lines;
  const [, environment] = name.split('/');
  const importKey = base64(encoded ?? '');
  if (
    lines.length !== 5 ||
    kind !== 'countersign/v1/import-key' ||
    origin !== name ||
    !environment ||
    importKey.length !== 32 ||
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(until)
  ) {
    throw new Refused('this is no statement about a key for an import');
  }
  // Not `>`, which is false for what is no time.
  if (!(now < new Date(until))) throw new Refused(`the key opened imports until ${until}: get another`);
  return { environment, importKey };
}

// === Sealing ===

/** What the share is sealed for: it opens as this and as nothing else. */
export function info(fields) {
  const names = ['environment', 'wallet_id', 'share_id', 'algorithm', 'binding', 'public_key', 'account_address'];
  return ['countersign/v1/import', ...names.map((name) => fields[name]), ''].join('\n');
}

/** RFC 9180, mode Base; the encapsulated key, the ciphertext, the tag. */
async function seal(secret, importKey, text) {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
  const recipientPublicKey = await suite.kem.deserializePublicKey(new Uint8Array(importKey));
  const sealed = await suite.seal({ recipientPublicKey, info: new TextEncoder().encode(text) }, secret);
  return Buffer.concat([Buffer.from(sealed.enc), Buffer.from(sealed.ct)]);
}

// === A key that was made elsewhere ===

function readKey(file) {
  if (file === undefined) return generatePrivateKey();
  // Never an argument or a variable: others on the machine can read those.
  const text = readFileSync(file === '-' ? 0 : file, 'utf8').trim().replace(/^0x/, '');
  // Not repeated in what is said of it.
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new Error('the key is not 64 hexadecimal digits');
  return `0x${text}`;
}

// === The calls ===

/** A client, on a Unix socket, whose calls are promises. */
function connect(service, socket, proto) {
  const definition = loadSync(['countersign/v1/custody.proto', 'countersign/v1/enclave.proto'], {
    includeDirs: [proto],
    keepCase: true,
    enums: String,
    longs: Number,
  });
  const Client = grpc.loadPackageDefinition(definition).countersign.v1[service];
  const client = new Client(`unix:${resolve(socket)}`, grpc.credentials.createInsecure());
  return {
    call: (method, request) =>
      new Promise((answered, refused) => {
        const options = { deadline: Date.now() + 5000 };
        client[method](request, options, (error, answer) => (error ? refused(error) : answered(answer)));
      }),
    close: () => client.close(),
  };
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { trust: text, custody: text, enclave: text, 'wallet-id': text, key: text, proto: text },
  });
  for (const name of ['trust', 'custody', 'enclave', 'wallet-id']) {
    if (values[name] === undefined) throw new Error(`--${name} is required`);
  }
  const trusted = trustedKey(readFileSync(values.trust, 'utf8'));
  const proto = values.proto ?? fileURLToPath(new URL('../../../proto', import.meta.url));
  const custody = connect('ShareCustody', values.custody, proto);
  const enclave = connect('SigningEnclave', values.enclave, proto);
  try {
    const { statement } = await custody.call('GetImportKey', {});
    // Before the secret is so much as read.
    const { environment, importKey } = believe(statement, trusted, new Date());

    const secret = readKey(values.key);
    const account = privateKeyToAccount(secret);
    // Declared by its address alone, as an account of Ethereum is known.
    const fields = {
      environment,
      wallet_id: values['wallet-id'],
      share_id: randomUUID(),
      algorithm: 'ecdsa-secp256k1',
      binding: 'derived',
      public_key: '',
      account_address: account.address,
    };
    const { share_id, wallet_id } = fields;
    await custody.call('ImportShare', {
      import_key: importKey,
      environment,
      share_id,
      wallet_id,
      algorithm: 'ALGORITHM_ECDSA_SECP256K1',
      account_address: account.address,
      sealed_share: await seal(Buffer.from(secret.slice(2), 'hex'), importKey, info(fields)),
    });
    console.log(`address   ${account.address}`);
    console.log(`imported  ${share_id}`);

    const payload = { eip191: Buffer.from(MESSAGE) };
    const answer = await enclave.call('Sign', { share_id, wallet_id, payload });
    // r, s and v, as Ethereum writes them.
    const { value, v } = answer.signature;
    const signature = concatHex([toHex(value), numberToHex(v, { size: 1 })]);
    // With the account as it was before: what the enclave says of it is not asked.
    if (!(await verifyMessage({ address: account.address, message: MESSAGE, signature }))) {
      throw new Error('the signature is not by the account');
    }
    console.log(`signature ${signature}`);
    console.log('verified');
  } finally {
    custody.close();
    enclave.close();
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    if (error instanceof Refused) console.error(`nothing was sealed: ${error.message}`);
    else if (error.details) console.error(`refused: ${grpc.status[error.code]}: ${error.details}`);
    else console.error(error.message);
    process.exitCode = 1;
  }
}
