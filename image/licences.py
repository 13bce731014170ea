"""licences.py SBOM TRIPLE: the licence texts of the crates that an SBOM names, each text once, below the names of whose it is."""

import json
import pathlib
import subprocess
import sys

BEGINNINGS = "licen", "copying", "copyright", "notice", "unlicense"

metadata = json.loads(subprocess.run(
    ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", sys.argv[2]],
    check=True, capture_output=True).stdout)
directories = {(package["name"], package["version"]): pathlib.Path(package["manifest_path"]).parent for package in metadata["packages"]}
texts = {}
for component in json.loads(pathlib.Path(sys.argv[1]).read_text())["components"]:
    name = component["name"], component["version"]
    if not component["purl"].startswith("pkg:cargo/"):
        continue
    title = f"{' '.join(name)} ({component['licenses'][0]['expression']})"
    files = sorted(file for file in directories[name].iterdir() if file.is_file() and file.name.lower().startswith(BEGINNINGS))
    # Some have no text, and name a licence whose text stands with others.
    for text in [file.read_text(errors="replace").strip() for file in files] or [""]:
        texts.setdefault(text, []).append(title)
for text, titles in sorted(texts.items(), key=lambda each: each[1]):
    print(*titles, "", text, "", "=" * 80, sep="\n")
