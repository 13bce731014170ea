"""pack.py OUT TAG [OPTION…] PROGRAM…: an image with programs in its root, or at PATH=PROGRAM; prints the digest of its manifest. It runs
the first.

An OCI layout in an archive, which depends on the contents of what goes into it and on nothing else: names in order, no owners, the times
and modes below.
"""

import argparse
import datetime
import hashlib
import io
import json
import pathlib
import tarfile
import zlib

# Root owns what is in the image, and who runs it may write nothing of it.
USER = "65532:65532"


def archive(files, epoch, directories=()):
    """Of contents by path, with their directories, and of more directories, by their mode."""
    modes = {str(parent): 0o755 for path in files for parent in pathlib.PurePath(path).parents if parent.name}
    modes.update(directories)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted([*modes, *files]):
            entry = tarfile.TarInfo(path)
            entry.mtime = epoch
            if path in modes:
                entry.type, entry.mode = tarfile.DIRTYPE, modes[path]
                tar.addfile(entry)
            else:
                data, entry.mode = files[path]
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def gzip(data):
    # In Python's module the header depends on the version.
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def pair(text):
    name, _, value = text.partition("=")
    return name, value


def placed(text):
    path, _, program = text.rpartition("=")
    return path or pathlib.PurePath(program).name, pathlib.Path(program)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("tag")
    parser.add_argument("program", nargs="+", type=placed, metavar="[PATH=]PROGRAM")
    parser.add_argument("--architecture", default="amd64")
    parser.add_argument("--epoch", type=int, default=0, help="seconds: the time of all that is in it")
    parser.add_argument("--label", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--file", type=pair, action="append", default=[], metavar="PATH=FILE")
    parser.add_argument("--temporary", action="store_true", help="with a /tmp")
    given = parser.parse_args()

    files = {path: (program.read_bytes(), 0o755) for path, program in given.program}
    files |= {path: (pathlib.Path(file).read_bytes(), 0o644) for path, file in given.file}
    layer = archive(files, given.epoch, {"tmp": 0o1777} if given.temporary else {})
    created = datetime.datetime.fromtimestamp(given.epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    blobs = {}

    def blob(kind, data):
        if not isinstance(data, bytes):
            data = json.dumps(data, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data, 0o644
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    platform = {"architecture": given.architecture, "os": "linux"}
    config = blob("config.v1+json", {
        **platform, "created": created,
        "config": {"User": USER, "Entrypoint": [f"/{given.program[0][0]}"], "Labels": dict(given.label)},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": created, "created_by": "image/pack.py"}]})
    manifest = blob("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [blob("layer.v1.tar+gzip", gzip(layer))], "annotations": dict(given.label)})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {**manifest, "platform": platform, "annotations": {"org.opencontainers.image.ref.name": given.tag}}]}
    layout = {"oci-layout": (b'{"imageLayoutVersion": "1.0.0"}', 0o644), "index.json": (json.dumps(index, sort_keys=True).encode(), 0o644)}
    given.out.write_bytes(archive({**layout, **blobs}, given.epoch))
    print(manifest["digest"])


if __name__ == "__main__":
    main()
