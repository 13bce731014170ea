"""Writes import.json: the published test vectors of imports.

The sealing is pyhpke's, an implementation of RFC 9180 that is neither the enclave's nor
the command line's; every vector that opens was opened with `cryptography`'s, too, before
it was written. Everything is deterministic: recipients' and encapsulated keys, shares and
ids are SHAKE-256 of SEED and a label, hence public and good for tests only.

    python generate_import.py            writes import.json beside this file
    python generate_import.py --check    fails when the file is not what this writes

Bytes are in hexadecimal, `info` is text. `sealed` is what travels as `sealed_share`: the
encapsulated key, the ciphertext, the tag. A positive vector opens with `private_key` to
`plaintext`, as a share of these `fields`, of which `info` is made. A negative vector
takes from its `base` what it does not give itself, and `refused` is the reason that the
enclave answers with. `info` stays what the enclave makes of the fields; where the sender
wrote another one, `sender_info` is that.

`rfc9180` is the published vector of this suite, see `published` below. `statements` are
signed notes with the key that is trusted, `trust`, and the time, `now`; one without
`refused` says `environment`, `key` and `until`. `refused` is

    trust      the trusted key is none
    note       the trusted key did not sign this
    form       it signed something else
    expired    the time is over
"""

import base64
import hashlib
import json
import pathlib
import sys
import uuid

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

# Started isolated, an interpreter does not look beside the script by itself.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from generate import P256_ORDER, SECP256K1_ORDER, account_address, public_key

SEED = "countersign published test vectors, imports, format 1: not secret"
FILE = pathlib.Path(__file__).with_name("import.json")


def suite(aead=AEADId.AES256_GCM):
    return CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, aead)


SUITE = suite()
OTHER_LIBRARY = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def main():
    text = json.dumps(document(), indent=1, ensure_ascii=True) + "\n"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.read_text() == text else f"{FILE.name} is not what this generates")
    FILE.write_text(text)


def document():
    positive = positives()
    negative = negatives({vector["name"]: vector for vector in positive})
    said = statements()
    names = [vector["name"] for vector in positive + negative + said]
    assert len(set(names)) == len(names), "a name is taken twice"
    return {
        "about": (
            "Test vectors of countersign's imports. Nothing here is secret. "
            "Made by generate_import.py, which explains the fields."
        ),
        "seed": SEED,
        "rfc9180": published(),
        "positive": positive,
        "negative": negative,
        "statements": said,
    }


def bytes_of(label, length):
    return hashlib.shake_256(f"{SEED}/{label}".encode()).digest(length)


# --- sealing ---------------------------------------------------------------------


def info_of(fields):
    """docs/import.md, "Sealing"."""
    lines = ("environment", "wallet_id", "share_id", "algorithm", "binding", "public_key", "account_address")
    return "".join(f"{line}\n" for line in ["countersign/v1/import", *(fields[name] for name in lines)])


def seal(name, public, info, plaintext, *, suite=SUITE, aad=b"", skip=0, **mode):
    """One message; `skip` others are sealed before it."""
    recipient = suite.kem.deserialize_public_key(public)
    pair = suite.kem.derive_key_pair(bytes_of(f"{name}/encapsulated", 32))
    encapsulated, sender = suite.create_sender_context(recipient, info.encode(), eks=pair, **mode)
    for _ in range(skip):
        sender.seal(b"before")
    return encapsulated + sender.seal(plaintext, aad)


def recipient(name):
    private = bytes_of(f"{name}/recipient", 32)
    return private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def published():
    """The vector of mode 0, KEM 0x0020, KDF 0x0001 and AEAD 0x0002 among those that RFC 9180
    refers to ("[TestVectors]"; its own appendix prints other suites). Its ciphertexts have
    associated data, which an import has not: so this takes its keys, which are the whole
    of what HPKE computes, and seals its plaintext under them with plain AES-256-GCM.
    """
    vector = {
        "private_key": "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
        "public_key": "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
        "encapsulated": "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
        "info": "Ode on a Grecian Urn",
        "key": "f50b0609186798729ed0564b36ef2ef8044f1f9d05636874d1f46c819c7a669f",
        "base_nonce": "151d9929e2449747889bc923",
        "plaintext": b"Beauty is truth, truth beauty".hex(),
    }
    at = {name: bytes.fromhex(text) for name, text in vector.items() if name != "info"}
    # The first ciphertext as it was published: the constants above are copied right.
    first = AESGCM(at["key"]).encrypt(at["base_nonce"], at["plaintext"], b"Count-0")
    assert first.hex() == (
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"
    )
    ciphertext = AESGCM(at["key"]).encrypt(at["base_nonce"], at["plaintext"], b"")
    return vector | {"sealed": (at["encapsulated"] + ciphertext).hex()}


# --- what opens ------------------------------------------------------------------


def positive(name, algorithm, plaintext=None, key=True, address=False, **fields):
    private, public = recipient(name)
    derived = fields.get("binding", "derived") == "derived"
    plaintext = plaintext or bytes_of(f"{name}/share", 32)
    # What an opaque share is one party's of: a key that nothing here has.
    secret = plaintext if derived else bytes_of(f"{name}/key", 32)
    fields = {
        "environment": "staging",
        "wallet_id": "wallet-1",
        "share_id": str(uuid.UUID(bytes=bytes_of(f"{name}/share id", 16), version=4)),
        "algorithm": algorithm,
        "binding": "derived",
        "public_key": public_key(algorithm, secret).hex() if key else "",
        "account_address": account_address(algorithm, secret) if address else "",
    } | fields
    info = info_of(fields)
    sealed = seal(name, public, info, plaintext)
    opened = OTHER_LIBRARY.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), info.encode())
    assert opened == plaintext, name
    return {
        "name": name,
        "private_key": private.hex(),
        "public_key": public.hex(),
        "fields": fields,
        "info": info,
        "plaintext": plaintext.hex(),
        "sealed": sealed.hex(),
    }


def positives():
    longest = {"environment": "e" + "abcdefghij-" * 2 + "012345678", "wallet_id": "W" + "abcXYZ019._:-" * 9 + "0123456789"}
    declared = {"binding": "declared"}
    return [
        positive("ed25519", "ed25519"),
        positive("ed25519-by-address", "ed25519", key=False, address=True),
        positive("ed25519-by-both", "ed25519", address=True),
        # A seed is any 32 bytes.
        positive("ed25519-zero", "ed25519", bytes(32)),
        positive("ecdsa-secp256k1", "ecdsa-secp256k1"),
        positive("ecdsa-secp256k1-by-address", "ecdsa-secp256k1", key=False, address=True),
        positive("ecdsa-secp256k1-by-both", "ecdsa-secp256k1", address=True),
        positive("ecdsa-secp256k1-one", "ecdsa-secp256k1", (1).to_bytes(32, "big")),
        positive("ecdsa-secp256k1-greatest", "ecdsa-secp256k1", (SECP256K1_ORDER - 1).to_bytes(32, "big")),
        positive("ecdsa-p256", "ecdsa-p256"),
        positive("ecdsa-p256-greatest", "ecdsa-p256", (P256_ORDER - 1).to_bytes(32, "big")),
        positive("schnorr-secp256k1", "schnorr-secp256k1"),
        positive("shortest-names", "ed25519", environment="e", wallet_id="w"),
        positive("longest-names", "ed25519", **longest),
        positive("opaque-of-1-byte", "ecdsa-secp256k1", b"\x2a", **declared),
        positive("opaque-of-32-bytes", "ed25519", key=False, address=True, **declared),
        positive("opaque-of-700-bytes", "ecdsa-secp256k1", bytes_of("opaque 700", 700), address=True, **declared),
        positive("opaque-ecdsa-p256", "ecdsa-p256", **declared),
        positive("opaque-schnorr-secp256k1", "schnorr-secp256k1", **declared),
    ]


# --- what does not ---------------------------------------------------------------


def flipped(content, index, bit=1):
    content = bytearray(content)
    content[index] ^= bit
    return bytes(content)


def negatives(by_name):
    out = []

    def add(name, base, refused, **change):
        change = {key: value.hex() if isinstance(value, bytes) else value for key, value in change.items()}
        out.append({"name": name, "base": base, "refused": refused, **change})

    def unopened(name, base, sealed, **more):
        add(name, base, "IMPORT_UNOPENED", sealed=sealed, **more)

    for base in ("ed25519", "ecdsa-secp256k1-by-both", "opaque-of-32-bytes"):
        moved(by_name[base], unopened)
    spelled(by_name["ecdsa-secp256k1-by-both"], unopened)
    altered(by_name["ed25519"], by_name["ecdsa-secp256k1"], unopened)
    sealed_otherwise(by_name["ed25519"], unopened)
    refused_when_open(by_name, add)
    return out


def moved(base, unopened):
    """Sealed for a share that one line of the info tells from the one that is asked for."""
    name, fields = base["name"], base["fields"]
    other_key, other_address = "02" + bytes_of("another key", 32).hex(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
    alterations = {
        "environment": "production",
        "wallet_id": "wallet-2",
        "share_id": str(uuid.UUID(bytes=bytes_of("another share id", 16), version=4)),
        "algorithm": "schnorr-secp256k1",
        "binding": "derived" if fields["binding"] == "declared" else "declared",
        "public_key": other_key,
        "account_address": other_address,
    }
    for line, value in alterations.items():
        change(name, base, unopened, f"other-{line.replace('_', '-')}", fields | {line: value})
    for line in ("public_key", "account_address"):
        if fields[line]:
            change(name, base, unopened, f"without-{line.replace('_', '-')}", fields | {line: ""})


def change(name, base, unopened, what, fields=None, info=None):
    info = info_of(fields) if info is None else info
    assert info != base["info"]
    name = f"{name}-for-{what}"
    sealed = seal(name, bytes.fromhex(base["public_key"]), info, bytes.fromhex(base["plaintext"]))
    unopened(name, base["name"], sealed, sender_info=info)


def spelled(base, unopened):
    """The right things, written otherwise: the info is compared as bytes."""
    name, info, fields = base["name"], base["info"], base["fields"]
    spellings = {
        "upper-case-key": info_of(fields | {"public_key": fields["public_key"].upper()}),
        "key-with-0x": info_of(fields | {"public_key": "0x" + fields["public_key"]}),
        "lower-case-address": info_of(fields | {"account_address": fields["account_address"].lower()}),
        "upper-case-share-id": info_of(fields | {"share_id": fields["share_id"].upper()}),
        "number-of-algorithm": info_of(fields | {"algorithm": "2"}),
        "name-of-enum": info_of(fields | {"algorithm": "ALGORITHM_ECDSA_SECP256K1"}),
        "crlf": info.replace("\n", "\r\n"),
        "no-last-line-feed": info[:-1],
        "one-more-line-feed": info + "\n",
        "spaces-for-line-feeds": info.replace("\n", " "),
        "other-first-line": info.replace("/v1/", "/v2/"),
        "no-first-line": info.split("\n", 1)[1],
        "byte-order-mark": "\ufeff" + info,
        "nothing": "",
    }
    for what, text in spellings.items():
        change(name, base, unopened, what, info=text)
    lines = info.splitlines(keepends=True)
    change(name, base, unopened, "swapped-lines", info="".join([lines[0], lines[2], lines[1], *lines[3:]]))


# RFC 7748: for these, X25519 gives zero with every private key.
SMALL_ORDER = {
    "zero": 0,
    "one": 1,
    "order-8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    "other-order-8": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
    "p-minus-1": 2**255 - 20,
    "p": 2**255 - 19,
    "p-plus-1": 2**255 - 18,
}


def altered(base, stranger, unopened):
    name, sealed = base["name"], bytes.fromhex(base["sealed"])
    places = {"encapsulated-key": (0, 31), "ciphertext": (32, 63), "tag": (64, 79)}
    for part, indexes in places.items():
        for index in indexes:
            unopened(f"{part}-altered-in-byte-{index}", name, flipped(sealed, index))
    # The curve ignores this bit, the key schedule does not.
    unopened("encapsulated-key-with-highest-bit", name, flipped(sealed, 31, 0x80))
    for what, number in SMALL_ORDER.items():
        unopened(f"encapsulated-key-of-small-order-{what}", name, number.to_bytes(32, "little") + sealed[32:])
    unopened("encapsulated-key-of-other-share", name, bytes.fromhex(stranger["sealed"])[:32] + sealed[32:])
    unopened("encapsulated-key-is-recipients", name, bytes.fromhex(base["public_key"]) + sealed[32:])
    unopened("sealed-share-of-other-share", name, bytes.fromhex(stranger["sealed"]))
    unopened("without-last-byte", name, sealed[:-1])
    unopened("without-first-byte", name, sealed[1:])
    unopened("without-tag", name, sealed[:-16])
    unopened("without-ciphertext", name, sealed[:33] + sealed[-16:])
    unopened("with-one-byte-more", name, sealed + b"\0")
    unopened("tag-first", name, sealed[:32] + sealed[-16:] + sealed[32:-16])
    unopened("tag-zero", name, sealed[:-16] + bytes(16))
    unopened("to-other-recipient", name, sealed, private_key=stranger["private_key"], public_key=stranger["public_key"])


def sealed_otherwise(base, unopened):
    """RFC 9180 still, and not as it is agreed."""
    name, info, public = base["name"], base["info"], bytes.fromhex(base["public_key"])
    share = bytes.fromhex(base["plaintext"])

    def add(what, **how):
        unopened(what, name, seal(what, public, info, share, **how))

    add("with-associated-data", aad=b"countersign/v1/import")
    add("with-info-as-associated-data", aad=info.encode())
    add("as-second-message", skip=1)
    add("with-aes-128", suite=suite(AEADId.AES128_GCM))
    add("with-chacha20", suite=suite(AEADId.CHACHA20_POLY1305))
    add("in-mode-psk", psk=bytes_of("psk", 32), psk_id=b"psk")
    author = SUITE.kem.derive_key_pair(bytes_of("author", 32)).private_key
    add("in-mode-auth", sks=author)


def refused_when_open(by_name, add):
    """These open, and are not what they are declared as."""

    def sealed(name, base, plaintext, fields=None):
        base = by_name[base]
        info = info_of(fields or base["fields"])
        more = {"fields": fields, "info": info} if fields else {}
        return more | {
            "plaintext": plaintext,
            "sealed": seal(name, bytes.fromhex(base["public_key"]), info, plaintext),
        }

    for algorithm in ("ed25519", "ecdsa-secp256k1", "ecdsa-p256", "schnorr-secp256k1"):
        no_keys = {"1-byte": b"\x2a", "31-bytes": bytes_of("short", 31), "33-bytes": b"\0" + bytes_of("long", 32)}
        if algorithm == "ed25519":
            # Seed and public key, as some libraries keep them.
            no_keys["64-bytes"] = bytes.fromhex(by_name[algorithm]["plaintext"] + by_name[algorithm]["fields"]["public_key"])
        else:
            order = P256_ORDER if algorithm == "ecdsa-p256" else SECP256K1_ORDER
            no_keys |= {"zero": bytes(32), "order": order.to_bytes(32, "big"), "above-order": b"\xff" * 32}
        for what, plaintext in no_keys.items():
            name = f"{algorithm}-no-key-{what}"
            add(name, algorithm, "IMPORT_INVALID", **sealed(name, algorithm, plaintext))
        name = f"{algorithm}-another-key"
        add(name, algorithm, "IMPORT_MISMATCH", **sealed(name, algorithm, bytes_of("another share", 32)))
    for algorithm in ("ed25519", "ecdsa-secp256k1"):
        name, base = f"{algorithm}-another-address", f"{algorithm}-by-address"
        add(name, base, "IMPORT_MISMATCH", **sealed(name, base, bytes_of("another share", 32)))
    # The point with the other y: the same x, another key.
    for algorithm in ("ecdsa-secp256k1", "ecdsa-p256"):
        name, base = f"{algorithm}-negated-key", by_name[algorithm]
        key = flipped(bytes.fromhex(base["fields"]["public_key"]), 0).hex()
        changed = sealed(name, algorithm, bytes.fromhex(base["plaintext"]), base["fields"] | {"public_key": key})
        add(name, algorithm, "IMPORT_MISMATCH", **changed)


# --- statements ------------------------------------------------------------------


class Instance:
    """A key that signs notes: https://c2sp.org/signed-note."""

    def __init__(self, name, label=None):
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(bytes_of(f"{label or name}/instance", 32))
        self.key = self.private.public_key().public_bytes_raw()

    def hash(self):
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.key).digest()[:4]

    def trust(self):
        return f"{self.name}+{self.hash().hex()}+{encoded_key(self.key)}"

    def signature(self, text, private=None):
        signed = (private or self.private).sign(text.encode())
        return f"\u2014 {self.name} {base64.b64encode(self.hash() + signed).decode()}\n"

    def note(self, text):
        return f"{text}\n{self.signature(text)}"


def encoded_key(key, algorithm=1):
    return base64.b64encode(bytes([algorithm]) + key).decode()


def statements():
    ours = Instance("countersign/staging/6f9619ff-8b86-4011-b42d-00c04fc964ff")
    stranger = Instance("countersign/staging/0f9619ff-8b86-4011-b42d-00c04fc964ff")
    impostor = Instance(ours.name, "impostor")
    kind, until, now = "countersign/v1/import-key", "2027-01-31T12:00:00Z", "2027-01-31T11:55:00Z"
    key = recipient("statement")[1]
    encoded = base64.b64encode(key).decode()

    def text(kind=kind, name=ours.name, key=encoded, until=until, more=""):
        return f"{kind}\n{name}\n{key}\n{until}\n{more}"

    good = ours.note(text())
    out = []

    def believed(name, note, at=now):
        says = {"environment": "staging", "key": key.hex(), "until": until}
        out.append({"name": name, "trust": ours.trust(), "now": at, "note": note, **says})

    def refused(name, why, note, trust=ours.trust(), at=now):
        out.append({"name": name, "trust": trust, "now": at, "note": note, "refused": why})

    believed("statement", good)
    believed("statement-in-its-last-second", good, "2027-01-31T11:59:59Z")
    believed("statement-with-a-witness", f"{text()}\n{stranger.signature(text())}{ours.signature(text())}")

    for name, at in (("when-its-time-is-over", until), ("a-year-later", "2028-01-31T11:55:00Z")):
        refused(f"statement-{name}", "expired", good, at=at)

    def form(what, **change):
        refused(f"statement-{what}", "form", ours.note(text(**change)))

    form("of-another-kind", kind="countersign/v1/export-key")
    form("of-a-later-version", kind="countersign/v2/import-key")
    form("of-another-instance", name=stranger.name)
    form("of-another-environment", name=ours.name.replace("staging", "production"))
    form("with-one-more-line", more="one more\n")
    form("with-a-key-of-31-bytes", key=base64.b64encode(key[:31]).decode())
    form("with-a-key-of-33-bytes", key=base64.b64encode(key + b"\0").decode())
    form("with-a-key-in-hexadecimal", key=key.hex())
    form("with-no-time", until="soon")
    form("with-a-time-elsewhere", until="2027-01-31T13:00:00+01:00")
    refused("statement-of-three-lines", "form", ours.note(f"{kind}\n{ours.name}\n{encoded}\n"))
    root = base64.b64encode(bytes_of("root", 32)).decode()
    refused("checkpoint", "form", ours.note(f"{ours.name}\n1234\n{root}\n"))
    nameless = Instance("countersign")
    refused("statement-of-no-environment", "form", nameless.note(text(name=nameless.name)), nameless.trust())

    def note(name, note, trust=ours.trust()):
        refused(f"statement-{name}", "note", note, trust)

    note("by-another-instance", stranger.note(text(name=stranger.name)))
    note("of-ours-by-another-instance", stranger.note(text()))
    # The name can be claimed; the key's hash tells them apart.
    note("by-an-impostor", impostor.note(text()))
    note("by-an-impostor-with-our-hash", f"{text()}\n{ours.signature(text(), impostor.private)}")
    note("believed-by-an-impostors-friend", good, impostor.trust())
    replaced = base64.b64encode(recipient("impostor")[1]).decode()
    note("with-a-replaced-key", good.replace(encoded, replaced))
    note("with-a-later-time", good.replace(until, "2037-01-31T12:00:00Z"))
    note("with-a-line-added-later", good.replace("\n\n", "\nadded\n\n"))
    note("with-signature-altered", f"{text()}\n{altered_signature(ours, text())}")
    note("without-signature", f"{text()}\n")
    note("without-empty-line", good.replace("\n\n", "\n"))
    note("with-a-hyphen-for-the-dash", good.replace("\u2014", "-"))
    note("of-nothing", "")

    parts = ours.trust().split("+", 2)
    other = Instance("countersign/staging/renamed", ours.name)
    trusts = {
        "with-another-hash": f"{parts[0]}+{impostor.hash().hex()}+{parts[2]}",
        "with-another-name": f"{other.name}+{parts[1]}+{parts[2]}",
        "with-another-key": f"{parts[0]}+{parts[1]}+{impostor.trust().split('+', 2)[2]}",
        "of-another-algorithm": f"{parts[0]}+{parts[1]}+{encoded_key(ours.key, 2)}",
        "of-31-bytes": f"{parts[0]}+{parts[1]}+{encoded_key(ours.key[:31])}",
        "of-two-parts": f"{parts[0]}+{parts[2]}",
        "of-nothing": "",
    }
    for what, trust in trusts.items():
        refused(f"trust-{what}", "trust", good, trust)
    return out


def altered_signature(instance, text):
    encoded = instance.signature(text).rsplit(" ", 1)[1]
    altered = flipped(base64.b64decode(encoded), 40)
    return f"\u2014 {instance.name} {base64.b64encode(altered).decode()}\n"


if __name__ == "__main__":
    main()
