"""sbom.py BUILT TRIPLE PROGRAM NAME|VERSION|PURL|LICENCE…: the SBOM of a program, CycloneDX.

BUILT is what `cargo build --message-format json` said, which names every crate that was compiled for the program. The section that
cargo-auditable writes names more: those, too, that a feature that nobody turned on would bring. Then what is in it that is no crate.
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tomllib
import uuid


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def main(built, triple, program, *others):
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", triple],
        check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    root = metadata["resolve"]["root"]
    messages = map(json.loads, pathlib.Path(built).read_text().splitlines())
    # Procedural macros and build scripts are the machine's that builds: they are not below the directory of the target.
    linked = {message["package_id"] for message in messages
              if message["reason"] == "compiler-artifact" and any(f"/{triple}/" in file for file in message["filenames"])}
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}

    def component(package):
        made = {"type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"], "purl": purl(package)}
        if checksum := checksums[package["name"], package["version"]]:
            made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["license"]:
            # Cargo once wrote OR as `/`.
            made["licenses"] = [{"expression": " OR ".join(map(str.strip, package["license"].split("/")))}]
        return made

    def other(text):
        name, version, url, licence = text.split("|")
        return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, "licenses": [{"expression": licence}]}

    others = [other(text) for text in others]
    dependencies = []
    for node in metadata["resolve"]["nodes"]:
        if node["id"] not in linked:
            continue
        on = [purl(packages[each["pkg"]]) for each in node["deps"]
              if each["pkg"] in linked and any(kind["kind"] is None for kind in each["dep_kinds"])]
        if node["id"] == root:
            on += [each["bom-ref"] for each in others]
        dependencies.append({"ref": purl(packages[node["id"]]), "dependsOn": sorted(set(on))})

    digest = hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()
    date = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    subject = {**component(packages[root]), "type": "application", "hashes": [{"alg": "SHA-256", "content": digest}]}
    components = [component(packages[id]) for id in linked - {root}] + others
    json.dump({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        # Of the program, so that the same one has the same.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "metadata": {"timestamp": date.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": subject},
        "components": sorted(components, key=lambda each: each["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda each: each["ref"]),
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
