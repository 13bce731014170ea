"""unpack.py ARCHIVE DIRECTORY: the root of an image of pack.py, each digest checked; prints that of the manifest."""

import hashlib
import io
import json
import sys
import tarfile

archive = tarfile.open(sys.argv[1])


def blob(described):
    algorithm, digest = described["digest"].split(":")
    data = archive.extractfile(f"blobs/{algorithm}/{digest}").read()
    if hashlib.new(algorithm, data).hexdigest() != digest or len(data) != described["size"]:
        sys.exit(f"{sys.argv[1]}: not what its digest says: {described['digest']}")
    return data


(described,) = json.load(archive.extractfile("index.json"))["manifests"]
manifest = json.loads(blob(described))
config = json.loads(blob(manifest["config"]))
for layer, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
    with tarfile.open(fileobj=io.BytesIO(blob(layer))) as packed:
        packed.extractall(sys.argv[2], filter="fully_trusted")
print(described["digest"])
