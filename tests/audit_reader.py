"""An independent verifier of the audit log, its checkpoints and its receipts, in Python.

Written from the format's description alone; shares no code with the Rust
implementation. servers/tlog is another, in Go, over the packages of Go's own
transparency log.

    python audit_reader.py log DIR                            chain, sequence, tree, heads of files
    python audit_reader.py receipt VKEY FILE [--log DIR]      signature and path; the log's record
    python audit_reader.py checkpoint VKEY FILE [--log DIR]   signature; the log's tree of that size

What was verified is printed as one JSON object. The first thing that is wrong goes to
standard error, with where it is, and the exit code is 1. A log that is being written may
end in the middle of a line: copy it first, and cut the copy after its last line feed.
"""

import base64
import dataclasses
import functools
import gzip
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Wrong(ValueError):
    """What is wrong, and where."""


def must(holds, otherwise):
    if not holds:
        raise Wrong(otherwise)


# --- receipts and checkpoints --------------------------------------------------


def verify_receipt(receipt, name, public_key):
    """Raises unless the key signed, for that name, a tree that has the record's hash at its sequence number."""
    text, signatures = receipt["checkpoint"].split(f"\n\n— {name} ", 1)
    signature = base64.b64decode(signatures.split("\n")[0])[4:]
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, f"{text}\n".encode())
    origin, size, root = text.split("\n")
    sequence, last = int(receipt.get("sequence", 0)), int(size) - 1
    node, *path = (base64.b64decode(item) for item in [receipt["recordHash"], *receipt.get("path", [])])
    # Where the ways up from this leaf and from the last one meet; from there on every sibling is a left one.
    meet = (sequence ^ last).bit_length()
    if origin != name or not 0 <= sequence <= last or len(path) != meet + (sequence >> meet).bit_count():
        raise ValueError("the origin, the sequence number or the length of the path is wrong")
    for level, sibling in enumerate(path):
        pair = node + sibling if level < meet and not sequence >> level & 1 else sibling + node
        node = hashlib.sha256(b"\x01" + pair).digest() if len(node) == len(sibling) == 32 else b""
    if node != base64.b64decode(root):
        raise ValueError("the path does not lead to the checkpoint's root")


@dataclasses.dataclass
class Checkpoint:
    name: str
    key: bytes
    text: str
    signature: bytes
    size: int
    root: bytes


def parse_checkpoint(note, vkey):
    """Everything but that the signature verifies."""
    name, key_hash, key = parse_vkey(vkey)
    # Witnesses may have signed too, after the enclave.
    parts = re.fullmatch(r"((.+)\n(.+)\n(.+)\n)\n— (\S+) (\S+)\n(— \S+ \S+\n)*", note)
    must(parts, "the checkpoint is not three lines of text and then signatures")
    text, origin, size, root, by, signature = parts.groups()[:6]
    must(origin == name, "the checkpoint's origin is not the key's name")
    signature = unbase64(signature, 4 + 64)
    must(by == name and signature[:4] == key_hash, "the checkpoint is not signed with this key")
    return Checkpoint(name, key, text, signature[4:], decimal(size), unbase64(root, 32))


def verify_checkpoint(note, vkey):
    checkpoint = parse_checkpoint(note, vkey)
    Ed25519PublicKey.from_public_bytes(checkpoint.key).verify(checkpoint.signature, checkpoint.text.encode())
    return checkpoint


def parse_vkey(vkey):
    parts = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", vkey)
    must(parts, "the verifier key is malformed")
    name, key_hash, key = parts[1], bytes.fromhex(parts[2]), unbase64(parts[3], 1 + 32)
    must(key[0] == 1, "the verifier key is not one for Ed25519")
    must(sha256(f"{name}\n".encode() + key)[:4] == key_hash, "the verifier key's hash is another's")
    return name, key_hash, key[1:]


def parse_receipt(data):
    """A receipt with every field as it is written out: what verifies is then the only form of it."""
    receipt = {"sequence": "0", "recordHash": "", "path": [], "checkpoint": ""} | parse_object(data)
    decimal(receipt["sequence"])
    must(isinstance(receipt["path"], list), "the receipt's path is not an array")
    must(isinstance(receipt["checkpoint"], str), "the receipt's checkpoint is not a string")
    for item in [receipt["recordHash"], *receipt["path"]]:
        unbase64(item, 32)
    return receipt


def sha256(data):
    return hashlib.sha256(data).digest()


def decimal(text):
    """Of a string or, in JSON, of a number."""
    must(re.fullmatch(r"0|[1-9][0-9]{0,18}", str(text)), f"{text!r} is not a count")
    return int(text)


def unbase64(text, length):
    """Only as encoding gives it: decoding passes over bits of a last digit."""
    must(isinstance(text, str), f"{text!r} is not a string")
    data = base64.b64decode(text)
    must(len(data) == length and base64.b64encode(data).decode() == text, f"{text!r} is not {length} bytes in base64")
    return data


def parse_object(data):
    def constant(name):
        raise Wrong(f"{name} is not JSON")

    value = json.loads(data.decode(), parse_constant=constant)
    must(isinstance(value, dict), "not a JSON object")
    return value


# --- the log -------------------------------------------------------------------


class Tree:
    """RFC 6962's, as the roots of its complete subtrees, largest first."""

    def __init__(self):
        self.size, self.roots = 0, []

    def add(self, leaf):
        self.size += 1
        self.roots.append(leaf)
        # As a counter carries: two subtrees of one size are one of the next.
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self.roots.pop()
            self.roots[-1] = sha256(b"\x01" + self.roots[-1] + right)

    def root(self):
        if not self.roots:
            return sha256(b"")
        return functools.reduce(lambda right, left: sha256(b"\x01" + left + right), self.roots[::-1])


def read_log(directory):
    """Verifies a log; at each record, the instance, the leaf hash and the tree that ends with it."""
    # A file that was compressed stands beside its plain one for a moment.
    found = [file for file in pathlib.Path(directory).iterdir() if re.fullmatch(r"[0-9]{20}\.log(\.gz)?", file.name)]
    files = [file for file in sorted(found) if file.suffix != ".gz" or file.with_suffix("") not in found]
    must(files, f"{directory}: there is no log")
    tree, link, instance = Tree(), bytes(32), None
    for file in files:
        start = tree.size
        must(int(file.name[:20]) == start, f"{file.name}: record {start} is where it has to begin")
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    data, next_link = follow(line, link)
                    record = parse_object(data)
                    check_record(record, tree, link, instance, tree.size == start)
                except ValueError as wrong:
                    raise Wrong(f"{file.name}: line {number}: {wrong}") from None
                instance, link, leaf = instance or record["instance"], next_link, sha256(b"\x00" + data)
                tree.add(leaf)
                yield instance, leaf, tree
        must(tree.size > start, f"{file.name}: it has no record")


def follow(line, link):
    """The bytes of a line's record, and the link that it states and has to."""
    must(line.endswith(b"\n"), "no line feed ends it")
    parts = re.fullmatch(rb"([0-9a-f]{64}) (.*)\n", line)
    must(parts, "it is not a link, a space and a record")
    must(sha256(link + parts[2]).hex() == parts[1].decode(), "the link does not follow from the one before")
    return parts[2], bytes.fromhex(parts[1].decode())


def check_record(record, tree, link, instance, begins):
    sequence, event = record.get("seq"), record.get("event")
    must(type(sequence) is int and sequence == tree.size, f"seq is {sequence!r}, not {tree.size}")
    must(isinstance(event, str), "it has no event")
    if tree.size == 0:
        must(re.fullmatch(UUID, str(record.get("instance"))), "the first record names no instance")
    elif begins:
        must(event == "segment", "the file does not begin with a segment record")
    if tree.size and event == "segment":
        must(record.get("instance") == instance, "the segment is of another instance")
        must(record.get("after") == link.hex(), "the segment follows another link")
        must(record.get("tree") == [root.hex() for root in tree.roots], "the segment follows another tree")
        must("open" in record, "the segment does not say what is open")


def compare(directory, checkpoint, sequence=None, leaf=None):
    """That a log is the checkpoint's and has that leaf; its size. It may end before the checkpoint."""
    root = Tree().root() if checkpoint.size == 0 else checkpoint.root
    for instance, found, tree in read_log(directory):
        if tree.size - 1 == sequence:
            must(found == leaf, f"{directory}: record {sequence} has another leaf hash")
        if tree.size == checkpoint.size:
            root = tree.root()
    must(sequence is None or sequence < tree.size, f"{directory}: the log ends before record {sequence}")
    must(checkpoint.name.endswith(f"/{instance}"), f"{directory}: the log is of instance {instance}")
    must(root == checkpoint.root, f"{directory}: the log's tree of size {checkpoint.size} has another root")
    return tree.size


# --- the commands --------------------------------------------------------------


def log(directory):
    for instance, _, tree in read_log(directory):
        pass
    return {"size": tree.size, "root": tree.root().hex(), "instance": instance}


def receipt(vkey, file, directory=None):
    given = parse_receipt(pathlib.Path(file).read_bytes())
    found = parse_checkpoint(given["checkpoint"], vkey)
    verify_receipt(given, found.name, found.key)
    sequence = decimal(given["sequence"])
    if directory is not None:
        compare(directory, found, sequence, unbase64(given["recordHash"], 32))
    return {"sequence": sequence, "size": found.size, "root": found.root.hex()}


def checkpoint(vkey, file, directory=None):
    found = verify_checkpoint(pathlib.Path(file).read_bytes().decode(), vkey)
    if directory is not None:
        size = compare(directory, found)
        must(size >= found.size, f"{directory}: the log has {size} records, the checkpoint {found.size}")
    return {"size": found.size, "root": found.root.hex()}


def main():
    commands = {"receipt": receipt, "checkpoint": checkpoint}
    try:
        match sys.argv[1:]:
            case ["log", directory]:
                said = log(directory)
            case ["receipt" | "checkpoint" as name, vkey, file]:
                said = commands[name](vkey, file)
            case ["receipt" | "checkpoint" as name, vkey, file, "--log", directory]:
                said = commands[name](vkey, file, directory)
            case _:
                sys.exit(__doc__)
    except InvalidSignature:
        sys.exit("the checkpoint's signature does not verify")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(json.dumps(said, separators=(",", ":")))


if __name__ == "__main__":
    main()
