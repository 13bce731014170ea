"""differences.py ONE OTHER: fails where two files differ, and says where first: of images, in which file and in which section of it."""

import pathlib
import re
import subprocess
import sys
import tempfile


def unpacked(archive, directory):
    subprocess.run([sys.executable, pathlib.Path(__file__).with_name("unpack.py"), archive, directory], check=True)
    return {file.relative_to(directory): file for file in pathlib.Path(directory).rglob("*") if file.is_file()}


def sections(program):
    listed = subprocess.run(["readelf", "--section-headers", "--wide", program], capture_output=True, text=True).stdout
    data = program.read_bytes()
    for name, kind, offset, size in re.findall(r"\] (\S+) +(\S+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", listed):
        yield name, b"" if kind == "NOBITS" else data[int(offset, 16):][:int(size, 16)]


def first(one, other):
    if one == other:
        return len(one)
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def around(data, at):
    return data[max(at - 60, 0):at + 60]


def explain(one, other):
    """Of two files that differ."""
    parts = list(sections(one)), list(sections(other))
    for (name, a), (named, b) in zip(*parts):
        # A hash of all others.
        if name == ".note.gnu.build-id":
            continue
        if (name, a) != (named, b):
            return f"section {name}, byte {first(a, b)}: {around(a, first(a, b))} and {around(b, first(a, b))}"
    a, b = one.read_bytes(), other.read_bytes()
    return f"byte {first(a, b)}: {around(a, first(a, b))} and {around(b, first(a, b))}"


def main(one, other):
    same = one.read_bytes() == other.read_bytes()
    if one.suffix == ".tar":
        with tempfile.TemporaryDirectory() as directory:
            sides = [unpacked(archive, f"{directory}/{name}") for name, archive in (("one", one), ("other", other))]
            for path in sorted(sides[0].keys() | sides[1].keys()):
                if path not in sides[0] or path not in sides[1]:
                    sys.exit(f"{path} is in one of both")
                if sides[0][path].read_bytes() != sides[1][path].read_bytes():
                    sys.exit(f"{path}: {explain(sides[0][path], sides[1][path])}")
    if not same:
        sys.exit(f"{one.name}: {explain(one, other)}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
