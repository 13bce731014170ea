"""An independent reader of the envelope format, in Python.

Written from the format's description alone; shares no code with the Rust
implementation or with vectors/generate.py. What it reads and refuses as they do
is therefore the format, and not a habit of one implementation.

    python envelope_reader.py vectors FILE   every vector opens, or is refused by its stage
    python envelope_reader.py sealed FILE    what Rust sealed and wrapped opens to its public key,
                                             and what it signed verifies

It also opens what a running instance has stored, for a scan of that instance's memory
(docs/residue.md). DATABASE is the SQLite file. Without SHARE it is every share. Vault's
token, with the right to decrypt, is read from standard input. What it prints is SECRET
and goes into a pipe:

    python envelope_reader.py needles DATABASE local KEK_FILE [SHARE ...] | residue --pid PID
    python envelope_reader.py needles DATABASE vault ADDRESS CA_FILE [SHARE ...] < TOKEN | ...
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import pathlib
import re
import sqlite3
import ssl
import sys
import urllib.error
import urllib.request
import uuid

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

GREATEST = 1024 + 4096 + 64 * 1024
ALGORITHMS = {1: "ed25519", 2: "ecdsa-secp256k1", 3: "ecdsa-p256", 4: "schnorr-secp256k1"}
ORDERS = {
    "ecdsa-secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "schnorr-secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "ecdsa-p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}


class Refused(Exception):
    """A stage says no: what it says, and of which field."""

    def __init__(self, stage, error, field=None, value=None):
        super().__init__(stage, error, field, value)
        self.said = {"stage": stage, "error": error, "field": field, "value": value}


@dataclasses.dataclass
class Envelope:
    row: dict
    commitment: bytes
    nonce: bytes
    header: bytes
    wrapped_dek: bytes
    sealed: bytes


# --- decoding ------------------------------------------------------------------


def decode(data):
    if len(data) > GREATEST:
        raise Refused("decode", "Oversize", value=len(data))
    position = 0

    def take(length, field):
        nonlocal position
        if length > len(data) - position:
            raise Refused("decode", "Truncated", field)
        position += length
        return data[position - length : position]

    def number(length, field):
        return int.from_bytes(take(length, field), "big")

    def text(field):
        content = take(number(2, field), field)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Refused("decode", "Field", field) from None

    def require(field, rule):
        if not rule:
            raise Refused("decode", "Field", field)

    if take(4, "magic") != b"CSGN":
        raise Refused("decode", "Magic")
    if (version := number(1, "format version")) != 1:
        raise Refused("decode", "Format", value=version)
    if (suite := number(1, "suite")) != 1:
        raise Refused("decode", "Suite", value=suite)
    row = {"environment": text("environment")}
    require("environment", re.fullmatch(r"[a-z][a-z0-9-]{0,31}", row["environment"]))
    row["wallet_id"] = text("wallet id")
    require("wallet id", re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", row["wallet_id"]))
    share_id = take(16, "share id")
    require("share id", any(share_id))
    row["share_id"] = str(uuid.UUID(bytes=share_id))
    row["record_version"] = number(4, "record version")
    require("record version", row["record_version"])
    address = text("account address")
    require("account address", re.fullmatch(r"[!-~]{0,128}", address))
    row["address"] = address or None
    algorithm = number(1, "key algorithm")
    # Bit 7 marks an opaque share.
    require("key algorithm", algorithm & 0x7F in ALGORITHMS)
    row["algorithm"] = ALGORITHMS[algorithm & 0x7F]
    row["binding"] = "declared" if algorithm & 0x80 else "derived"
    kek = [text(f"KEK {part}") for part in ("provider", "mount", "name")]
    row["kek_provider"], row["kek_mount"], row["kek_name"] = kek
    require("KEK", re.fullmatch(r"[A-Za-z0-9._-]{1,32}", kek[0]))
    require("KEK", len(kek[1]) <= 64 and re.fullmatch(r"([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?", kek[1]))
    require("KEK", re.fullmatch(r"[A-Za-z0-9._-]{1,64}", kek[2]))
    commitment, nonce = take(32, "key commitment"), take(12, "nonce")
    header = data[:position]
    wrapped_dek = take(number(2, "wrapped DEK"), "wrapped DEK")
    require("wrapped DEK", 1 <= len(wrapped_dek) <= 4096)
    sealed = take(number(4, "sealed share"), "sealed share")
    require("sealed share", 17 <= len(sealed) <= 65552)
    if position != len(data):
        raise Refused("decode", "Trailing", value=len(data) - position)
    return Envelope(row, commitment, nonce, header, wrapped_dek, sealed)


def match(envelope, row):
    names = {"wallet_id": "wallet id", "share_id": "share id", "record_version": "record version",
             "address": "account address"}
    for name, expected in row.items():
        if envelope.row[name] != expected:
            raise Refused("mismatch", "KEK" if name.startswith("kek_") else names.get(name, name))


# --- unwrapping and opening ----------------------------------------------------


def kek_context(row):
    prefix = f"countersign:v1:{row['environment']}:".encode()
    while len(prefix) % 3:
        prefix += b":"
    number = next(number for number, name in ALGORITHMS.items() if name == row["algorithm"])
    if row.get("binding") == "declared":
        number |= 0x80
    fields = [
        row["environment"].encode(),
        row["wallet_id"].encode(),
        uuid.UUID(row["share_id"]).bytes,
        row["record_version"].to_bytes(4, "big"),
        (row["address"] or "").encode(),
        bytes([number]),
    ]
    framed = b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    return prefix + hashlib.sha256(b"countersign/v1/context\x01" + framed).digest()


def unwrap_locally(envelope, kek):
    label = re.fullmatch(rb"local:v([0-9]+):([A-Za-z0-9+/]+=*)", envelope.wrapped_dek)
    if not label:
        raise Refused("unwrap", "Rejected")
    version = int(label[1])
    if version > len(kek) // 32:
        raise Refused("unwrap", "KeyMissing")
    try:
        wrapped = base64.b64decode(label[2], validate=True)
        key = kek[32 * version - 32 : 32 * version]
        dek = AESGCM(key).decrypt(wrapped[:12], wrapped[12:], kek_context(envelope.row))
    except (InvalidTag, ValueError, binascii.Error):
        raise Refused("unwrap", "Rejected") from None
    if len(dek) != 32:
        raise Refused("unwrap", "Rejected")
    return dek


def expand(dek, info):
    return HKDF(hashes.SHA512(), 32, salt=b"countersign/v1/envelope", info=info + b"\x01").derive(dek)


def open_share(envelope, dek):
    if not hmac.compare_digest(expand(dek, b"countersign/v1/commit"), envelope.commitment):
        raise Refused("open", "Commitment")
    aad = b"countersign/v1/aad" + envelope.header
    try:
        return AESGCM(expand(dek, b"countersign/v1/encrypt")).decrypt(envelope.nonce, envelope.sealed, aad)
    except InvalidTag:
        raise Refused("open", "Tag") from None


def public_key(algorithm, share):
    """The public key, as the contract encodes it, of a share that is a key."""
    if len(share) != 32:
        raise Refused("open", "Share")
    if algorithm == "ed25519":
        key = Ed25519PrivateKey.from_private_bytes(share).public_key()
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    scalar = int.from_bytes(share, "big")
    if not 0 < scalar < ORDERS[algorithm]:
        raise Refused("open", "Share")
    curve = ec.SECP256R1() if algorithm == "ecdsa-p256" else ec.SECP256K1()
    key = ec.derive_private_key(scalar, curve).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return point[1:] if algorithm == "schnorr-secp256k1" else point


def open_key(envelope, dek, recorded):
    share = open_share(envelope, dek)
    if public_key(envelope.row["algorithm"], share) != recorded:
        raise Refused("open", "PublicKey")
    return share


# --- the published vectors -----------------------------------------------------


def check_vectors(document):
    kek = bytes.fromhex(document["local_kek"])
    positive = {vector["name"]: vector for vector in document["positive"]}
    for vector in positive.values():
        check_positive(vector, kek)
    refused = 0
    for vector in document["negative"]:
        base = positive[vector["base"]]
        for envelope in envelopes(vector, base):
            check_negative(vector, base, envelope, kek)
            refused += 1
    return f"{len(positive)} open, {refused} are refused"


def check_positive(vector, kek):
    name = vector["name"]
    envelope = decode(bytes.fromhex(vector["envelope"]))
    match(envelope, vector["row"])
    found = {
        "aad": b"countersign/v1/aad" + envelope.header,
        "commitment": envelope.commitment,
        "nonce": envelope.nonce,
        "kek_context": kek_context(envelope.row),
        "wrapped_dek": envelope.wrapped_dek,
        "share": open_share(envelope, bytes.fromhex(vector["dek"])),
    }
    for field, value in found.items():
        assert value.hex() == vector[field], f"{name}: {field}"
    if envelope.wrapped_dek.startswith(b"local:"):
        assert unwrap_locally(envelope, kek).hex() == vector["dek"], f"{name}: unwrapped"
    if "enclave_refuses" not in vector:
        open_key(envelope, bytes.fromhex(vector["dek"]), bytes.fromhex(vector["public_key"]))


def check_negative(vector, base, data, kek):
    expected = {"field": None, "value": None} | vector["refused"]
    if expected["error"] == "TooLong":
        # The limit of the enclave's memory, not of the format; filler is not sealed either.
        expected["error"] = "Tag"
    recorded = bytes.fromhex(vector.get("public_key", base["public_key"]))
    try:
        envelope = decode(data)
        match(envelope, vector.get("row", base["row"]))
        if expected["stage"] == "unwrap":
            unwrap_locally(envelope, kek)
        open_key(envelope, bytes.fromhex(vector.get("dek", base["dek"])), recorded)
    except Refused as refused:
        assert refused.said == expected, f"{vector['name']}: {refused.said} is not {expected}"
    else:
        raise AssertionError(f"{vector['name']}: opened")


def envelopes(vector, base):
    whole = bytes.fromhex(base["envelope"])
    if "truncate" in vector:
        first, last = vector["truncate"]
        return [whole[:length] for length in range(first, last + 1)]
    parts = vector.get("envelope", base["envelope"])
    if isinstance(parts, str):
        parts = [parts]
    return [
        b"".join(
            bytes.fromhex(part) if isinstance(part, str) else bytes.fromhex(part["byte"]) * part["times"]
            for part in parts
        )
    ]


# --- what Rust sealed ----------------------------------------------------------


def check_sealed(document):
    kek = bytes.fromhex(document["kek"])
    seen = set()
    for record in document["records"]:
        envelope = decode(bytes.fromhex(record["envelope"]))
        recorded = bytes.fromhex(record["public_key"])
        open_key(envelope, unwrap_locally(envelope, kek), recorded)
        verify(envelope.row["algorithm"], recorded, bytes.fromhex(record["payload"]),
               bytes.fromhex(record["signature"]))
        seen |= {envelope.nonce, envelope.commitment}
    assert len(seen) == 2 * len(document["records"]), "two records share a DEK or a nonce"
    return f"{len(document['records'])} sealed envelopes open"


def verify(algorithm, key, payload, signature):
    try:
        if algorithm == "ed25519":
            Ed25519PublicKey.from_public_bytes(key).verify(signature, payload)
        elif algorithm == "schnorr-secp256k1":
            verify_bip340(key, payload, signature)
        else:
            curve = ec.SECP256R1() if algorithm == "ecdsa-p256" else ec.SECP256K1()
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            point = ec.EllipticCurvePublicKey.from_encoded_point(curve, key)
            digest = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
            point.verify(utils.encode_dss_signature(r, s), payload, digest)
            assert algorithm != "ecdsa-secp256k1" or 2 * s < ORDERS[algorithm], "high s"
    except InvalidSignature:
        raise AssertionError(f"{algorithm}: the signature does not verify") from None


# BIP-340, "Verification", with affine points; the library has no Schnorr.

P = 2**256 - 2**32 - 977
N = ORDERS["schnorr-secp256k1"]
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def verify_bip340(key, message, signature):
    x, r, s = (int.from_bytes(part, "big") for part in (key, signature[:32], signature[32:]))
    y = pow(x**3 + 7, (P + 1) // 4, P)
    tag = hashlib.sha256(b"BIP0340/challenge").digest()
    challenge = hashlib.sha256(tag * 2 + signature[:32] + key + message).digest()
    e = int.from_bytes(challenge, "big") % N
    point = (x, y if y % 2 == 0 else P - y)
    result = add(multiply(G, s), multiply(point, N - e))
    if y * y % P != (x**3 + 7) % P or r >= P or s >= N or not result or result[1] % 2 or result[0] != r:
        raise InvalidSignature


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and a[1] != b[1]:
        return None
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(point, scalar):
    result = None
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


# --- what a running instance stored --------------------------------------------


def print_needles(database, kms, *rest):
    if sys.stdout.isatty():
        sys.exit("needles are secret: pipe them into the scanner")
    if kms == "local" and len(rest) >= 1:
        kek = pathlib.Path(rest[0]).read_bytes()
        shares = rest[1:]
        lines = [f"kek-v{at // 32 + 1} aes256 {kek[at : at + 32].hex()}" for at in range(0, len(kek), 32)]
        unwrap = lambda envelope: unwrap_locally(envelope, kek)
    elif kms == "vault" and len(rest) >= 2:
        token = sys.stdin.readline().strip()
        vault = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=rest[1])),
        )
        shares, lines = rest[2:], []
        unwrap = lambda envelope: unwrap_by_vault(envelope, vault, rest[0], token)
    else:
        sys.exit(__doc__)
    for stored, recorded in stored_envelopes(database, shares):
        try:
            envelope = decode(stored)
            dek = unwrap(envelope)
            share = open_key(envelope, dek, recorded)
        except Refused as refused:
            sys.exit(f"a stored envelope was refused: {refused.said}")
        name = envelope.row["share_id"][:13]
        lines += [
            f"{name}/share share:{envelope.row['algorithm']} {share.hex()}",
            f"{name}/dek dek {dek.hex()}",
            f"{name}/public-key public {recorded.hex()}",
            f"{name}/envelope public {stored.hex()}",
        ]
    print("\n".join(lines))


def stored_envelopes(database, shares):
    query = "SELECT encrypted_key_shares, public_key FROM server_wallet_key_shares"
    # Read only: the instance goes on writing.
    connection = sqlite3.connect(f"{pathlib.Path(database).absolute().as_uri()}?mode=ro", uri=True)
    try:
        if not shares:
            return connection.execute(query).fetchall()
        rows = []
        for share in shares:
            row = connection.execute(f"{query} WHERE id = ?", [uuid.UUID(share).bytes]).fetchone()
            if row is None:
                sys.exit(f"{database} has no share {share}")
            rows.append(row)
        return rows
    finally:
        connection.close()


def unwrap_by_vault(envelope, vault, address, token):
    body = {
        "ciphertext": envelope.wrapped_dek.decode(),
        "context": base64.b64encode(kek_context(envelope.row)).decode(),
    }
    mount, name = envelope.row["kek_mount"], envelope.row["kek_name"]
    request = urllib.request.Request(
        f"{address}/v1/{mount}/decrypt/{name}",
        json.dumps(body).encode(),
        {"X-Vault-Token": token, "Content-Type": "application/json"},
    )
    try:
        with vault.open(request, timeout=30) as answer:
            return base64.b64decode(json.load(answer)["data"]["plaintext"], validate=True)
    except urllib.error.HTTPError as error:
        # Its body may hold anything, and is not repeated.
        sys.exit(f"{address}: {mount}/decrypt/{name}: {error.code}; the token must have the right to it")
    except urllib.error.URLError as error:
        sys.exit(f"{address}: {error.reason}")


def main():
    if len(sys.argv) >= 5 and sys.argv[1] == "needles":
        return print_needles(*sys.argv[2:])
    checks = {"vectors": check_vectors, "sealed": check_sealed}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as file:
        print(checks[sys.argv[1]](json.load(file)))


if __name__ == "__main__":
    main()
