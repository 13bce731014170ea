"""image.py OUT NAME PROGRAM…: an image with programs in its root, or at PATH=PROGRAM, and the libraries that they are linked with; prints
its digest. It runs the first.

For tests alone: the image of a release is another."""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile

out, name, *programs = sys.argv[1:]


def entry(path, data=None):
    made = tarfile.TarInfo(path)
    made.mode = 0o755
    if data is None:
        made.type = tarfile.DIRTYPE
        return made, None
    made.size = len(data)
    return made, io.BytesIO(data)


def archive(entries):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in entries:
            tar.addfile(*each)
    return made.getvalue()


files = {}
for path, program in (each.rpartition("=")[::2] for each in programs):
    files[path or program.rsplit("/", 1)[1]] = program
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True).stdout):
        files[library.lstrip("/")] = library
layer = archive(entry(path, open(source, "rb").read()) for path, source in files.items())
blobs = {}


def blob(kind, data):
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


config = {"architecture": "amd64", "os": "linux", "config": {"User": "65532:65532", "Entrypoint": ["/" + next(iter(files))]},
          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", json.dumps(config).encode()),
            "layers": [blob("layer.v1.tar+gzip", gzip.compress(layer, 1, mtime=0))]}
manifest = blob("manifest.v1+json", json.dumps(manifest).encode())
index = {"schemaVersion": 2, "manifests": [{**manifest, "platform": {"architecture": "amd64", "os": "linux"},
                                            "annotations": {"io.containerd.image.name": name.replace("DIGEST", manifest["digest"])}}]}
with open(out, "wb") as file:
    file.write(archive([entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), entry("index.json", json.dumps(index).encode()),
                        *(entry(f"blobs/sha256/{digest}", data) for digest, data in blobs.items())]))
print(manifest["digest"])
