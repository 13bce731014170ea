"""Imports a key that was made elsewhere, and signs with it.

    python import_share.py --trust FILE --custody SOCKET --enclave SOCKET \\
        --wallet-id WALLET_ID [--key FILE]

--trust is a file with the key of the instance, `name+hash+base64`, from somewhere else
than the socket. --key is an Ed25519 or secp256k1 key, PKCS#8 or SEC 1 in PEM, not
encrypted; `-` reads it from standard input. Without it a new key is made: for a first try.

README.md beside this file says how to get there, docs/import.md what happens.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import hashlib
import os
import sys
import uuid

import grpc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from google.rpc import error_details_pb2
from grpc_status import rpc_status

MESSAGE = b"signed with a key that was made elsewhere"
ED25519, SECP256K1 = "ed25519", "ecdsa-secp256k1"


class Refused(Exception):
    """Nothing may be sealed to this."""


# === The statement: whose key is it that a share is sealed to? ===


def trusted_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, hash and Ed25519 key of a verifier key (c2sp.org/signed-note)."""
    try:
        name, number, encoded = text.strip().split("+", 2)
        kind, key = (raw := base64.b64decode(encoded, validate=True))[:1], raw[1:]
    except ValueError:
        raise Refused("the trusted key is not of the form name+hash+base64") from None
    # The hash binds the name to the key: neither can be exchanged alone.
    hashed = hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]
    if kind != b"\x01" or len(key) != 32 or number != hashed.hex():
        raise Refused("the trusted key is no Ed25519 key, or has another hash")
    return name, hashed, key


def believe(note: str, trusted: tuple[str, bytes, bytes], now: datetime.datetime) -> tuple[str, bytes]:
    """The environment and the public key of a statement that the trusted key signed."""
    name, hashed, key = trusted
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    for line in signatures.split("\n"):
        if not line.startswith(f"\u2014 {name} "):
            continue  # a witness's
        raw = base64.b64decode(line.rsplit(" ", 1)[1])
        if raw[:4] == hashed:
            break
    else:
        raise Refused("the trusted key did not sign the statement")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(raw[4:], text.encode())
    except InvalidSignature:
        raise Refused("the signature does not belong to this statement") from None

    # The same key signs the audit log: the first line keeps the two apart.
    lines = text.split("\n")
    if len(lines) != 5 or lines[:2] != ["countersign/v1/import-key", name]:
        raise Refused("this is no statement about a key for an import")
    try:
        _, environment, _ = name.split("/")
        import_key = base64.b64decode(lines[2], validate=True)
        until = datetime.datetime.strptime(lines[3], "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise Refused("this is no statement about a key for an import") from None
    if len(import_key) != 32:
        raise Refused("the key of the statement has not 32 bytes")
    if until.replace(tzinfo=datetime.timezone.utc) <= now:
        raise Refused(f"the key opened imports until {lines[3]}: get another")
    return environment, import_key


# === Sealing ===


def info(fields: dict[str, str]) -> str:
    """What the share is sealed for: it opens as this and as nothing else."""
    names = ("environment", "wallet_id", "share_id", "algorithm", "binding", "public_key", "account_address")
    return "".join(f"{line}\n" for line in ["countersign/v1/import", *(fields[name] for name in names)])


def seal(secret: bytes, import_key: bytes, info: str) -> bytes:
    """RFC 9180, mode Base; the encapsulated key, the ciphertext, the tag."""
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    return suite.encrypt(secret, X25519PublicKey.from_public_bytes(import_key), info.encode())


# === A key that was made elsewhere ===


def read_key(file: str | None):
    if file is None:
        return Ed25519PrivateKey.generate()
    # Never an argument or a variable: others on the machine can read those.
    with sys.stdin.buffer if file == "-" else open(file, "rb") as source:
        return load_pem_private_key(source.read(), password=None)


def parts(key) -> tuple[str, bytes, bytes]:
    """Algorithm, secret and public key, encoded as the contract says."""
    if isinstance(key, Ed25519PrivateKey):
        return ED25519, key.private_bytes_raw(), key.public_key().public_bytes_raw()
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256K1):
        secret = key.private_numbers().private_value.to_bytes(32, "big")
        public = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return SECP256K1, secret, public
    sys.exit("this example imports Ed25519 and secp256k1 keys")


def verify(key, signature: bytes) -> None:
    """With the key as it was before: what the enclave says of it is not asked."""
    if isinstance(key, Ed25519PrivateKey):
        key.public_key().verify(signature, MESSAGE)
        return
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    digest = hashlib.sha256(MESSAGE).digest()
    key.public_key().verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))


# === The calls ===


def main(options: argparse.Namespace) -> None:
    # Generated from the contract; see README.md.
    from countersign.v1 import custody_pb2, custody_pb2_grpc, enclave_pb2, enclave_pb2_grpc, share_pb2

    with open(options.trust, encoding="utf-8") as file:
        trusted = trusted_key(file.read())
    with grpc.insecure_channel(f"unix:{os.path.abspath(options.custody)}") as channel:
        custody = custody_pb2_grpc.ShareCustodyStub(channel)
        note = custody.GetImportKey(custody_pb2.GetImportKeyRequest(), timeout=5).statement
        # Before the secret is so much as read.
        environment, import_key = believe(note, trusted, datetime.datetime.now(datetime.timezone.utc))

        key = read_key(options.key)
        algorithm, secret, public_key = parts(key)
        share_id = str(uuid.uuid4())
        fields = {
            "environment": environment,
            "wallet_id": options.wallet_id,
            "share_id": share_id,
            "algorithm": algorithm,
            "binding": "derived",
            "public_key": public_key.hex(),
            "account_address": "",
        }
        number = {ED25519: share_pb2.ALGORITHM_ED25519, SECP256K1: share_pb2.ALGORITHM_ECDSA_SECP256K1}
        custody.ImportShare(
            custody_pb2.ImportShareRequest(
                import_key=import_key,
                environment=environment,
                share_id=share_id,
                wallet_id=options.wallet_id,
                algorithm=number[algorithm],
                public_key=public_key,
                sealed_share=seal(secret, import_key, info(fields)),
            ),
            timeout=5,
        )
    print(f"public key {public_key.hex()}")
    print(f"imported   {share_id}")

    # A digest where the algorithm takes no bare message: a permission of its own.
    if algorithm == ED25519:
        payload = enclave_pb2.Payload(message=MESSAGE)
    else:
        payload = enclave_pb2.Payload(digest=hashlib.sha256(MESSAGE).digest())
    with grpc.insecure_channel(f"unix:{os.path.abspath(options.enclave)}") as channel:
        enclave = enclave_pb2_grpc.SigningEnclaveStub(channel)
        answer = enclave.Sign(
            enclave_pb2.SignRequest(share_id=share_id, wallet_id=options.wallet_id, payload=payload),
            timeout=5,
        )
    # Raises InvalidSignature when the signature is not the key's.
    verify(key, answer.signature.value)
    print(f"signature  {answer.signature.value.hex()}")
    print("verified")


def reason(error: grpc.RpcError) -> str:
    """The stable name of a refusal: what programs compare. See docs/errors.md."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        said = error_details_pb2.ErrorInfo()
        if detail.Unpack(said):
            return said.reason
    return "NO_REASON"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("--trust", "--custody", "--enclave", "--wallet-id"):
        parser.add_argument(name, required=True)
    parser.add_argument("--key")
    try:
        main(parser.parse_args())
    except Refused as refused:
        sys.exit(f"nothing was sealed: {refused}")
    except grpc.RpcError as error:
        sys.exit(f"refused: {error.code().name} {reason(error)}: {error.details()}")
