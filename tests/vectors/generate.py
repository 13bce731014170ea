"""Writes envelope.json: the published test vectors of the envelope format.

Written from the format's description alone and shares no code with the Rust
implementation or with envelope_reader.py, so that an error in one of the three
shows in the other two. Everything is deterministic: keys, nonces and shares are
SHAKE-256 of SEED and a label, hence public and good for tests only.

    python generate.py            writes envelope.json beside this file
    python generate.py --check    fails when the file is not what this writes

Bytes are in hexadecimal. A positive vector opens with its `dek` to its `share`;
`row` is what the columns beside the envelope say. `enclave_refuses` marks shares
that the format carries and that are no keys. A negative vector takes from its
`base` what it does not give itself: `envelope`, `row`, `dek`, `public_key`. Its
envelope may be a list of parts, where `{"byte", "times"}` repeats a byte, or
`truncate: [first, last]`: the base's, cut to each of these lengths. `refused`
names the one stage that must refuse it and what it must say:

    decode    the error's variant, with its `field` or `value`
    mismatch  the field in which envelope and row disagree
    unwrap    the local KEK's error, over `local_kek` (32 bytes per version)
    open      the enclave's error, given the DEK
"""

import base64
import hashlib
import json
import pathlib
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEED = "countersign published test vectors, format 1: not secret"
FILE = pathlib.Path(__file__).with_name("envelope.json")

ALGORITHMS = {
    "ed25519": 1,
    "ecdsa-secp256k1": 2,
    "ecdsa-p256": 3,
    "schnorr-secp256k1": 4,
}
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def main():
    text = json.dumps(document(), indent=1, ensure_ascii=True) + "\n"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.read_text() == text else f"{FILE.name} is not what this generates")
    FILE.write_text(text)


def document():
    positive = positives()
    negative = negatives()
    names = [vector["name"] for vector in positive + negative]
    assert len(set(names)) == len(names), "a name is taken twice"
    return {
        "about": (
            "Test vectors of the countersign envelope, format 1. Nothing here is secret. "
            "Made by generate.py, which explains the fields."
        ),
        "seed": SEED,
        "local_kek": (KEK_1 + KEK_2).hex(),
        "positive": positive,
        "negative": negative,
        "rollback": rollback(),
    }


# --- primitives ----------------------------------------------------------------


def bytes_of(label, length):
    return hashlib.shake_256(f"{SEED}/{label}".encode()).digest(length)


def short(field):
    """u16 length, then the bytes."""
    return struct.pack(">H", len(field)) + field


KEK_1 = bytes_of("local KEK version 1", 32)
KEK_2 = bytes_of("local KEK version 2", 32)


def keys_of(dek):
    """RFC 5869 with SHA-512: the encryption key and the commitment."""
    extract = hmac.HMAC(b"countersign/v1/envelope", hashes.SHA512())
    extract.update(dek)
    prk = extract.finalize()

    def expand(info):
        return HKDFExpand(hashes.SHA512(), 32, info + b"\x01").derive(prk)

    return expand(b"countersign/v1/encrypt"), expand(b"countersign/v1/commit")


def public_key(algorithm, share):
    if algorithm == "ed25519":
        key = ed25519.Ed25519PrivateKey.from_private_bytes(share)
        return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    curve = ec.SECP256R1() if algorithm == "ecdsa-p256" else ec.SECP256K1()
    key = ec.derive_private_key(int.from_bytes(share, "big"), curve).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return point[1:] if algorithm == "schnorr-secp256k1" else point


def account_address(algorithm, share):
    if algorithm == "ed25519":
        return base58(public_key(algorithm, share))
    key = ec.derive_private_key(int.from_bytes(share, "big"), ec.SECP256K1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    lower = keccak256(point[1:])[12:].hex()
    checksum = keccak256(lower.encode()).hex()
    mixed = (c.upper() if check >= "8" else c for c, check in zip(lower, checksum))
    return "0x" + "".join(mixed)


def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = alphabet[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def keccak256(data):
    """Keccak with the padding from before FIPS 202, which Ethereum kept."""
    rate, mask = 136, (1 << 64) - 1
    data = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % rate))
    data[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]

    def rotate(word, by):
        return ((word << by % 64) | (word >> (64 - by % 64))) & mask

    for start in range(0, len(data), rate):
        for i, (word,) in enumerate(struct.iter_unpack("<Q", data[start : start + rate])):
            lanes[i % 5][i // 5] ^= word
        feedback = 1
        for _ in range(24):
            column = [a ^ b ^ c ^ d ^ e for a, b, c, d, e in lanes]
            theta = [column[x - 1] ^ rotate(column[(x + 1) % 5], 1) for x in range(5)]
            lanes = [[lane ^ theta[x] for lane in lanes[x]] for x in range(5)]
            x, y, current = 1, 0, lanes[1][0]
            for step in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, lanes[x][y] = lanes[x][y], rotate(current, (step + 1) * (step + 2) // 2)
            for y in range(5):
                row = [lanes[x][y] for x in range(5)]
                for x in range(5):
                    lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
            for bit in range(7):
                feedback = ((feedback << 1) ^ ((feedback >> 7) * 0x171)) % 256
                if feedback & 2:
                    lanes[0][0] ^= 1 << ((1 << bit) - 1)
    return b"".join(struct.pack("<Q", lanes[i % 5][i // 5]) for i in range(4))


# --- envelopes -----------------------------------------------------------------


class Record:
    """One envelope's fields as raw bytes, so that a vector can break any rule."""

    def __init__(self, name, algorithm="ed25519", share=None, **fields):
        self.name = name
        self.algorithm_name = algorithm
        self.dek = fields.pop("dek", None) or bytes_of(f"{name}/dek", 32)
        self.share = share if share is not None else bytes_of(f"{name}/share", 32)
        self.kek_version = fields.pop("kek_version", 1)
        address = fields.pop("address", None)
        self.magic, self.format, self.suite = b"CSGN", 1, 1
        self.environment = b"staging"
        self.wallet = b"wallet-1"
        self.share_id = bytearray(bytes_of(f"{name}/share id", 16))
        # RFC 9562 §5.4: version 4, variant 10.
        self.share_id[6] = self.share_id[6] & 0x0F | 0x40
        self.share_id[8] = self.share_id[8] & 0x3F | 0x80
        self.version = 1
        self.address = (
            account_address(algorithm, self.share).encode() if address == "derived" else address or b""
        )
        self.algorithm = ALGORITHMS[algorithm]
        self.provider, self.mount, self.kek_name = b"local", b"", b"countersign-staging"
        self.nonce = bytes_of(f"{name}/nonce", 12)
        self.wrapped = None
        self.__dict__.update(fields)
        self.commitment = fields.get("commitment", keys_of(self.dek)[1])
        if self.wrapped is None:
            self.wrapped = self.wrap_locally()
        self.sealed = fields.get("sealed") or self.seal()

    def header(self):
        return b"".join(content for _, content in self.header_fields())

    def header_fields(self):
        return [
            ("magic", self.magic),
            ("format version", bytes([self.format])),
            ("suite", bytes([self.suite])),
            ("environment", short(self.environment)),
            ("wallet id", short(self.wallet)),
            ("share id", bytes(self.share_id)),
            ("record version", struct.pack(">I", self.version)),
            ("account address", short(self.address)),
            ("key algorithm", bytes([self.algorithm])),
            ("KEK provider", short(self.provider)),
            ("KEK mount", short(self.mount)),
            ("KEK name", short(self.kek_name)),
            ("key commitment", self.commitment),
            ("nonce", self.nonce),
        ]

    def fields(self):
        sealed = struct.pack(">I", len(self.sealed)) + self.sealed
        return self.header_fields() + [("wrapped DEK", short(self.wrapped)), ("sealed share", sealed)]

    def aad(self):
        return b"countersign/v1/aad" + self.header()

    def context(self):
        prefix = b"countersign:v1:" + self.environment + b":"
        prefix += b":" * (-len(prefix) % 3)
        digest = hashlib.sha256(b"countersign/v1/context" + bytes([self.format]))
        for field in (
            self.environment,
            self.wallet,
            bytes(self.share_id),
            struct.pack(">I", self.version),
            self.address,
            bytes([self.algorithm]),
        ):
            digest.update(short(field))
        return prefix + digest.digest()

    def seal(self):
        return AESGCM(keys_of(self.dek)[0]).encrypt(self.nonce, self.share, self.aad())

    def wrap_locally(self):
        kek = [KEK_1, KEK_2][self.kek_version - 1]
        nonce = bytes_of(f"{self.name}/wrapping nonce/{self.kek_version}", 12)
        wrapped = nonce + AESGCM(kek).encrypt(nonce, self.dek, self.context())
        return b"local:v%d:" % self.kek_version + base64.b64encode(wrapped)

    def envelope(self):
        return b"".join(content for _, content in self.fields())

    def row(self):
        """What the row's plain columns say beside the envelope."""
        return {
            "environment": self.environment.decode(),
            "wallet_id": self.wallet.decode(),
            "share_id": str(uuid.UUID(bytes=bytes(self.share_id))),
            "record_version": self.version,
            "address": self.address.decode() or None,
            "algorithm": self.algorithm_name,
            "kek_provider": self.provider.decode(),
            "kek_mount": self.mount.decode(),
            "kek_name": self.kek_name.decode(),
        }

    def altered(self, **fields):
        """A copy with the sealed share of the original: what an attacker can make."""
        copy = Record.__new__(Record)
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(fields)
        return copy


# --- positive vectors ----------------------------------------------------------


LONG = {
    "environment": b"e" + b"abcdefghij-" * 2 + b"012345678",
    "wallet": b"W" + b"abcXYZ019._:-" * 9 + b"0123456789",
    "version": 0xFFFFFFFF,
    "address": bytes(0x21 + i % 94 for i in range(128)),
    "provider": b"provider." + b"a-Z_0" * 4 + b"xyz",
    "mount": b"/".join([b"mount-1", b"a", b"b_c", b"D.E"] * 3 + [b"0123456789"]),
    "kek_name": b"K" + b"ey.name_-" * 7,
}
SHORT = {
    "environment": b"e",
    "wallet": b"w",
    "provider": b"p",
    "mount": b"",
    "kek_name": b"k",
    "wrapped": b"\x00",
}
TRANSIT = {"provider": b"vault-transit", "mount": b"transit", "kek_name": b"countersign-staging"}


def records():
    def transit(name):
        return TRANSIT | {"wrapped": b"vault:v3:" + base64.b64encode(bytes_of(f"{name}/wrapped", 60))}

    rolled = Record("rollback-old", share_id=bytearray(bytes_of("rollback/share id", 16)))
    return [
        Record("ed25519", address="derived"),
        Record("ed25519-without-address"),
        Record("ecdsa-secp256k1", "ecdsa-secp256k1", address="derived"),
        Record("ecdsa-secp256k1-without-address", "ecdsa-secp256k1", **transit("secp")),
        Record("ecdsa-p256", "ecdsa-p256"),
        Record("ecdsa-p256-with-address", "ecdsa-p256", address=b"p256:account/1", **transit("p256")),
        Record("schnorr-secp256k1", "schnorr-secp256k1"),
        Record("schnorr-secp256k1-with-address", "schnorr-secp256k1", address=b"bc1p-some-taproot-output"),
        Record("kek-version-2", kek_version=2),
        Record("shortest-fields", **SHORT),
        Record("longest-fields", wrapped=bytes_of("longest/wrapped", 4096), **LONG),
        # Not keys: the format carries them, the enclave opens keys only.
        Record("opaque-share-of-1-byte", share=b"\x42", enclave="Share", **SHORT),
        Record("opaque-share-of-4096-bytes", share=bytes_of("opaque 4096", 4096), enclave="Share", **SHORT),
        Record("opaque-share-of-4097-bytes", share=bytes_of("opaque 4097", 4097), enclave="TooLong", **SHORT),
        rolled,
        Record("rollback-new", share_id=rolled.share_id, version=2, share=rolled.share),
    ]


def positives():
    by_name = {record.name: record for record in records()}
    vectors = [positive(record) for record in by_name.values()]
    # Rotation changes the wrapped DEK and nothing else.
    original = by_name["ed25519"]
    rewrapped = original.altered(name="ed25519-rewrapped", kek_version=2)
    rewrapped.wrapped = rewrapped.wrap_locally()
    vectors.append(positive(rewrapped))
    return vectors


def positive(record):
    opaque = len(record.share) != 32
    key = public_key(record.algorithm_name, bytes_of("any key", 32) if opaque else record.share)
    vector = {
        "name": record.name,
        "dek": record.dek.hex(),
        "row": record.row(),
        "commitment": record.commitment.hex(),
        "nonce": record.nonce.hex(),
        "aad": record.aad().hex(),
        "kek_context": record.context().hex(),
        "wrapped_dek": record.wrapped.hex(),
        "share": record.share.hex(),
        "public_key": key.hex(),
        "envelope": record.envelope().hex(),
    }
    if opaque:
        vector["enclave_refuses"] = record.enclave
    return vector


def rollback():
    return {
        "about": (
            "A whole old row put back opens: nothing inside a row says that there is a newer one. "
            "A caller that names minimum_version is refused the old row before it is fetched."
        ),
        "old": "rollback-old",
        "new": "rollback-new",
        "minimum_version": 2,
    }


# --- negative vectors ----------------------------------------------------------


class Negatives:
    """Collects vectors. Each has a base, whose row, DEK and public key it takes
    unless it names its own, and the one stage that must refuse it."""

    def __init__(self):
        self.vectors = []

    def add(self, name, base, stage, error, envelope=None, **more):
        vector = {"name": name, "base": base}
        if envelope is not None:
            vector["envelope"] = envelope.hex() if isinstance(envelope, bytes) else envelope
        refused = {"stage": stage, "error": error}
        for key in ("field", "value"):
            if key in more:
                refused[key] = more.pop(key)
        self.vectors.append(vector | more | {"refused": refused})

    def decode(self, name, base, error, envelope, **more):
        self.add(name, base, "decode", error, envelope, **more)


def negatives():
    by_name = {record.name: record for record in records()}
    out = Negatives()
    malformed(out, by_name)
    truncated(out, by_name["shortest-fields"])
    oversize(out, by_name["shortest-fields"])
    disagreeing(out, by_name)
    forged(out, by_name)
    not_keys(out)
    return out.vectors


def malformed(out, by_name):
    base = by_name["ed25519"]

    def bad(name, error, **fields):
        field = fields.pop("at", None)
        value = fields.pop("value", None)
        more = {"field": field} if field else {}
        more |= {"value": value} if value is not None else {}
        out.decode(name, "ed25519", error, base.altered(**fields).envelope(), **more)

    for name, magic in (("lower-case", b"csgn"), ("one-bit", b"CSGO"), ("zero", bytes(4))):
        bad(f"magic-{name}", "Magic", magic=magic)
    for number in (0, 2, 255):
        bad(f"format-version-{number}", "Format", format=number, value=number)
        bad(f"suite-{number}", "Suite", suite=number, value=number)
    for number in (0, 5, 255):
        bad(f"algorithm-{number}", "Field", at="key algorithm", algorithm=number)
    bad("record-version-zero", "Field", at="record version", version=0)
    bad("share-id-nil", "Field", at="share id", share_id=bytes(16))
    for name, text in (
        ("empty", b""),
        ("upper-case", b"Staging"),
        ("digit-first", b"1staging"),
        ("hyphen-first", b"-staging"),
        ("underscore", b"sta_ging"),
        ("space", b"staging "),
        ("nul", b"staging\0"),
        ("not-ascii", "stagïng".encode()),
        ("not-utf-8", b"stag\xff\xfe"),
        ("overlong-utf-8", b"stag\xc0\xaf"),
        ("of-33-bytes", b"e" * 33),
    ):
        bad(f"environment-{name}", "Field", at="environment", environment=text)
    for name, text in (
        ("empty", b""),
        ("space", b"wallet 1"),
        ("slash", b"wallet/1"),
        ("nul", b"wallet\0"),
        ("not-ascii", "wället".encode()),
        ("not-utf-8", b"wallet\x80"),
        ("of-129-bytes", b"w" * 129),
    ):
        bad(f"wallet-{name}", "Field", at="wallet id", wallet=text)
    for name, text in (
        ("space", b"0x 1"),
        ("newline", b"0x1\n"),
        ("delete", b"0x\x7f"),
        ("not-ascii", "0x١".encode()),
        ("not-utf-8", b"0x\xf5"),
        ("surrogate", b"0x\xed\xa0\x80"),
        ("of-129-bytes", b"a" * 129),
    ):
        bad(f"address-{name}", "Field", at="account address", address=text)
    for part, field, at in (
        ("provider", "provider", "KEK provider"),
        ("mount", "mount", "KEK mount"),
        ("name", "kek_name", "KEK name"),
    ):
        bad(f"kek-{part}-not-utf-8", "Field", at=at, **{field: b"\xff"})
        bad(f"kek-{part}-space", "Field", at="KEK", **{field: b"a b"})
        bad(f"kek-{part}-leading-slash", "Field", at="KEK", **{field: b"/a"})
        bad(f"kek-{part}-not-ascii", "Field", at="KEK", **{field: "ä".encode()})
    bad("kek-provider-empty", "Field", at="KEK", provider=b"")
    bad("kek-provider-with-slash", "Field", at="KEK", provider=b"a/b")
    bad("kek-provider-of-33-bytes", "Field", at="KEK", provider=b"p" * 33)
    bad("kek-mount-trailing-slash", "Field", at="KEK", mount=b"a/")
    bad("kek-mount-double-slash", "Field", at="KEK", mount=b"a//b")
    bad("kek-mount-of-65-bytes", "Field", at="KEK", mount=b"m" * 65)
    bad("kek-name-empty", "Field", at="KEK", kek_name=b"")
    bad("kek-name-with-slash", "Field", at="KEK", kek_name=b"a/b")
    bad("kek-name-of-65-bytes", "Field", at="KEK", kek_name=b"k" * 65)
    bad("wrapped-dek-empty", "Field", at="wrapped DEK", wrapped=b"")
    bad("wrapped-dek-of-4097-bytes", "Field", at="wrapped DEK", wrapped=bytes(4097))
    for length in (0, 1, 15, 16):
        bad(f"sealed-share-of-{length}-bytes", "Field", at="sealed share", sealed=bytes(length))
    whole = base.envelope()
    out.decode("trailing-byte", "ed25519", "Trailing", whole + b"\0", value=1)
    out.decode("trailing-envelope", "ed25519", "Trailing", whole * 2, value=len(whole))
    out.decode("leading-byte", "ed25519", "Magic", b"\0" + whole)
    out.decode("hexadecimal-text", "ed25519", "Magic", whole.hex().encode())
    out.decode("base64-text", "ed25519", "Magic", base64.b64encode(whole))


def truncated(out, record):
    """Cut at every byte: `truncate` [first, last] stands for one vector per length."""
    start = 0
    for field, content in record.fields():
        end = start + len(content)
        name = f"truncated-in-{field.lower().replace(' ', '-')}"
        out.add(name, record.name, "decode", "Truncated", truncate=[start, end - 1], field=field)
        start = end


def oversize(out, record):
    """Each length field says more than there is, less than there is, and too much."""
    fields = record.fields()
    for index, (field, content) in enumerate(fields):
        if field not in LENGTHS:
            continue
        size = LENGTHS[field]
        before = b"".join(content for _, content in fields[:index])
        after = b"".join(content for _, content in fields[index + 1 :])
        body = content[size:]
        slug = field.lower().replace(" ", "-")

        def with_length(length):
            return before + length.to_bytes(size, "big") + body + after

        most = (1 << 8 * size) - 1
        out.decode(f"length-of-{slug}-greatest", record.name, "Truncated", with_length(most), field=field)
        rest = len(body) + len(after)
        out.decode(f"length-of-{slug}-past-end", record.name, "Truncated", with_length(rest + 1), field=field)
        # The whole 16-bit length is there to be read, and still too long.
        if size == 2:
            huge = [(before + b"\xff\xff").hex(), {"byte": "61", "times": 0xFFFF}, after.hex()]
            at = "KEK" if field.startswith("KEK") else field
            out.decode(f"{slug}-of-65535-bytes", record.name, "Field", huge, field=at)
    longest = record.envelope()[: -len(record.sealed) - 4]

    def sealed(length, after=0):
        parts = [(longest + struct.pack(">I", length)).hex(), {"byte": "a5", "times": length}]
        return parts + ([{"byte": "5a", "times": after}] if after else [])

    out.decode("length-of-sealed-share-one-less", record.name, "Trailing",
               longest + struct.pack(">I", len(record.sealed) - 1) + record.sealed, value=1)
    out.decode("sealed-share-of-65553-bytes", record.name, "Field", sealed(65553), field="sealed share")
    # The longest sealed share is one; a slot of secret memory is shorter.
    out.add("sealed-share-of-65552-bytes", record.name, "open", "TooLong", sealed(65552))
    most = 1024 + 4096 + 65536
    rest = most - len(longest) - 4 - 65552
    out.decode("input-of-greatest-length", record.name, "Trailing", sealed(65552, rest), value=rest)
    out.decode("input-over-greatest-length", record.name, "Oversize", sealed(65552, rest + 1), value=most + 1)
    out.decode("input-empty", record.name, "Truncated", b"", field="magic")


LENGTHS = {
    "environment": 2,
    "wallet id": 2,
    "account address": 2,
    "KEK provider": 2,
    "KEK mount": 2,
    "KEK name": 2,
    "wrapped DEK": 2,
    "sealed share": 4,
}

# Each immutable field with another valid value, and what the reader calls it.
ALTERATIONS = [
    ("environment", "environment", {"environment": b"production"}),
    ("wallet", "wallet id", {"wallet": b"wallet-2"}),
    ("share-id", "share id", {"share_id": bytes_of("another share id", 16)}),
    ("record-version-next", "record version", {"version": 2}),
    ("record-version-greatest", "record version", {"version": 0xFFFFFFFF}),
    ("address", "account address", {"address": b"another-address"}),
    ("address-removed", "account address", {"address": b""}),
    ("algorithm", "algorithm", {"algorithm": 4, "algorithm_name": "schnorr-secp256k1"}),
    ("kek-provider", "KEK", {"provider": b"vault-transit"}),
    ("kek-mount", "KEK", {"mount": b"transit"}),
    ("kek-name", "KEK", {"kek_name": b"countersign-production"}),
]


def own_key(record):
    """A row of another algorithm has a public key of that algorithm."""
    if record.algorithm_name == "ed25519":
        return {}
    return {"public_key": public_key(record.algorithm_name, record.share).hex()}


def disagreeing(out, by_name):
    """The envelope says one thing and the row another."""
    base = by_name["ed25519"]
    for name, field, change in ALTERATIONS:
        other = base.altered(**change)
        out.add(f"envelope-altered-{name}", "ed25519", "mismatch", field, other.envelope())
        out.add(f"row-altered-{name}", "ed25519", "mismatch", field, row=other.row(), **own_key(other))
    out.add("address-added", "ed25519-without-address", "mismatch", "account address",
            by_name["ed25519-without-address"].altered(address=b"added").envelope())
    # One curve, one share, two algorithms: neither may sign for the other.
    ecdsa, schnorr = by_name["ecdsa-secp256k1-without-address"], "schnorr-secp256k1"
    other = ecdsa.altered(algorithm=4, algorithm_name=schnorr)
    out.add("row-of-other-algorithm-with-its-public-key", ecdsa.name, "mismatch", "algorithm",
            row=other.row(), public_key=public_key(schnorr, ecdsa.share).hex())
    out.add("envelope-of-other-share", "ed25519", "mismatch", "share id",
            by_name["ed25519-without-address"].envelope())
    out.add("envelope-of-older-version", "rollback-new", "mismatch", "record version",
            by_name["rollback-old"].envelope())
    out.add("envelope-of-newer-version", "rollback-old", "mismatch", "record version",
            by_name["rollback-new"].envelope())
    moved = base.altered(environment=b"production", kek_name=b"countersign-production")
    out.add("envelope-of-other-environment", "ed25519", "mismatch", "environment", moved.envelope())


def forged(out, by_name):
    """Row and envelope agree and are not what was sealed."""
    base, stranger = by_name["ed25519"], by_name["ed25519-without-address"]
    for name, _, change in ALTERATIONS:
        other = base.altered(**change)
        out.add(f"both-altered-{name}", "ed25519", "open", "Tag", other.envelope(), row=other.row(),
                **own_key(other))
    added = stranger.altered(address=b"added")
    out.add("both-altered-address-added", stranger.name, "open", "Tag", added.envelope(), row=added.row())

    def opened(name, error, change, **more):
        out.add(name, "ed25519", "open", error, base.altered(**change).envelope(), **more)

    def flip(content, index, bit=1):
        content = bytearray(content)
        content[index] ^= bit
        return bytes(content)

    for index in (0, 31):
        opened(f"commitment-altered-in-byte-{index}", "Commitment", {"commitment": flip(base.commitment, index)})
    opened("commitment-zero", "Commitment", {"commitment": bytes(32)})
    opened("commitment-of-other-dek", "Commitment", {"commitment": stranger.commitment})
    # Whoever could choose the DEK could commit to it, and still not open.
    opened("commitment-and-dek-of-other-share", "Tag", {"commitment": stranger.commitment}, dek=stranger.dek.hex())
    for index in (0, 11):
        opened(f"nonce-altered-in-byte-{index}", "Tag", {"nonce": flip(base.nonce, index)})
    opened("nonce-of-other-share", "Tag", {"nonce": stranger.nonce})
    for index in (0, 31):
        opened(f"ciphertext-altered-in-byte-{index}", "Tag", {"sealed": flip(base.sealed, index)})
    for index in (-16, -1):
        opened(f"tag-altered-in-byte-{16 + index}", "Tag", {"sealed": flip(base.sealed, index, 0x80)})
    opened("tag-zero", "Tag", {"sealed": base.sealed[:-16] + bytes(16)})
    opened("sealed-share-of-other-share", "Tag", {"sealed": stranger.sealed})
    opened("ciphertext-one-byte-shorter", "Tag", {"sealed": base.sealed[:31] + base.sealed[32:]})
    opened("ciphertext-one-byte-longer", "Tag", {"sealed": base.sealed[:32] + b"\0" + base.sealed[32:]})
    opened("sealed-share-of-17-bytes", "Tag", {"sealed": base.sealed[-17:]})
    # The whole key schedule, one step wrong each.
    without_aad = AESGCM(keys_of(base.dek)[0])
    opened("sealed-without-aad", "Tag", {"sealed": without_aad.encrypt(base.nonce, base.share, None)})
    opened("sealed-with-bare-header-as-aad", "Tag",
           {"sealed": without_aad.encrypt(base.nonce, base.share, base.header())})
    opened("sealed-with-envelope-head-as-aad", "Tag",
           {"sealed": without_aad.encrypt(base.nonce, base.share, base.aad() + short(base.wrapped))})
    opened("sealed-under-dek-itself", "Tag",
           {"sealed": AESGCM(base.dek).encrypt(base.nonce, base.share, base.aad())})
    opened("sealed-under-commitment", "Tag",
           {"sealed": AESGCM(base.commitment).encrypt(base.nonce, base.share, base.aad())})

    for name, dek in (
        ("of-other-share", stranger.dek),
        ("zero", bytes(32)),
        ("altered-in-first-bit", flip(base.dek, 0, 0x80)),
        ("altered-in-last-bit", flip(base.dek, 31)),
    ):
        out.add(f"dek-{name}", "ed25519", "open", "Commitment", dek=dek.hex())
    out.add("public-key-of-other-share", "ed25519", "open", "PublicKey",
            public_key=public_key("ed25519", stranger.share).hex())
    ecdsa = by_name["ecdsa-secp256k1"]
    point = public_key("ecdsa-secp256k1", ecdsa.share)
    out.add("public-key-negated", ecdsa.name, "open", "PublicKey", public_key=flip(point, 0).hex())

    # The KMS binds the wrapped DEK to its record: what it refuses is not opened.
    swapped = {"wrapped": stranger.wrapped}
    out.add("wrapped-dek-of-other-share", "ed25519", "unwrap", "Rejected", base.altered(**swapped).envelope())
    out.add("wrapped-dek-of-other-share-from-a-kms-without-context", "ed25519", "open", "Commitment",
            base.altered(**swapped).envelope(), dek=stranger.dek.hex())
    label = len(b"local:v1:")
    inner = base64.b64decode(base.wrapped[label:])

    def wrapped(name, error, content):
        out.add(f"wrapped-dek-{name}", "ed25519", "unwrap", error, base.altered(wrapped=content).envelope())

    for index, part in ((0, "nonce"), (12, "ciphertext"), (59, "tag")):
        changed = b"local:v1:" + base64.b64encode(flip(inner, index))
        wrapped(f"{part}-altered", "Rejected", changed)
    wrapped("of-other-kek-version", "Rejected", b"local:v2:" + base.wrapped[label:])
    wrapped("of-unknown-kek-version", "KeyMissing", b"local:v3:" + base.wrapped[label:])
    wrapped("of-kek-version-zero", "Rejected", b"local:v0:" + base.wrapped[label:])
    wrapped("of-another-provider", "Rejected", b"vault:v1:" + base.wrapped[label:])
    wrapped("not-base64", "Rejected", b"local:v1:****")
    wrapped("not-utf-8", "Rejected", b"\xff" * 32)
    wrapped("truncated", "Rejected", b"local:v1:" + base64.b64encode(inner[:-1]))
    wrapped("empty-after-label", "Rejected", b"local:v1:")
    longer = inner[:12] + AESGCM(KEK_1).encrypt(inner[:12], base.dek + b"\0", base.context())
    wrapped("of-33-bytes", "Rejected", b"local:v1:" + base64.b64encode(longer))
    shorter = inner[:12] + AESGCM(KEK_1).encrypt(inner[:12], base.dek[:31], base.context())
    wrapped("of-31-bytes", "Rejected", b"local:v1:" + base64.b64encode(shorter))
    for name, change in (
        ("environment", {"environment": b"production"}),
        ("wallet", {"wallet": b"wallet-2"}),
        ("share-id", {"share_id": bytes_of("another share id", 16)}),
        ("record-version", {"version": 2}),
        ("address", {"address": b"another-address"}),
        ("address-removed", {"address": b""}),
        ("algorithm", {"algorithm": 4}),
    ):
        wrapped(f"with-other-{name}", "Rejected", base.altered(**change).wrap_locally())


def not_keys(out):
    """Sealed as they should be, and no key of the recorded algorithm."""
    any_key = bytes_of("any key", 32)
    cases = [("ed25519", "31-bytes", bytes(31)), ("ed25519", "33-bytes", bytes(33)),
             ("ed25519", "64-bytes", bytes(64))]
    for algorithm in ("ecdsa-secp256k1", "ecdsa-p256", "schnorr-secp256k1"):
        order = P256_ORDER if algorithm == "ecdsa-p256" else SECP256K1_ORDER
        cases += [
            (algorithm, "zero", bytes(32)),
            (algorithm, "order", order.to_bytes(32, "big")),
            (algorithm, "greatest", b"\xff" * 32),
            (algorithm, "31-bytes", any_key[1:]),
            (algorithm, "33-bytes", b"\0" + any_key),
        ]
    for algorithm, name, share in cases:
        record = Record(f"not-a-key-{algorithm}-{name}", algorithm, share=share)
        out.add(record.name, algorithm, "open", "Share", record.envelope(), row=record.row(),
                dek=record.dek.hex(), public_key=public_key(algorithm, any_key).hex())


if __name__ == "__main__":
    main()
