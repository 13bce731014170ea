"""accepted.py COUNTERSIGN RENDERED: gives every rendered configuration, with the policies beside it, to `countersign check`.

Directories are laid out as the pod would have them, below a temporary one. What comes from objects that a chart does not
make (authorities, passwords, policies of another ConfigMap) is made up."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
AUTHORITY = ["openssl", "req", "-x509", *NEW_KEY, "-days", "1", "-subj", "/CN=made up", "-keyout", "/dev/null", "-out"]
OTHERS = '@id("nobody") forbid (principal, action, resource);'



def listener(directory):
    """What a volume of cert-manager's csi-driver-spiffe has, and that of custody, where `people.crt` are its clients."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)
    openssl("req", "-x509", *NEW_KEY, "-days", "1", "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", "authority.key", "-out", "ca.crt")
    openssl("req", *NEW_KEY, "-subj", "/CN=enclave", "-keyout", "tls.key", "-out", "request")
    (directory / "extensions").write_text("basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "authority.key", "-days", "1",
            "-extfile", "extensions", "-out", "tls.crt")


program, rendered = sys.argv[1:]
objects = [each for each in yaml.safe_load_all(open(rendered)) if each]
maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
found = 0
for name, data in maps.items():
    if "countersign.toml" not in data:
        continue
    found += 1
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        text = re.sub(r'"/(etc|run|var)/', rf'"{root}/\1/', data["countersign.toml"])
        for path in re.findall(rf'"({root}/[^"]+)"', text):
            path = pathlib.Path(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".pem":
                subprocess.run([*AUTHORITY, path], check=True, capture_output=True)
            elif path.name in ("password", "token"):
                path.write_text("made up")
        for place in (root / "run/svid", root / "etc/countersign/custody-tls"):
            if place.exists():
                listener(place)
                shutil.copy(place / "ca.crt", place / "people.crt")
        policies = root / "etc/countersign/policies"
        policies.mkdir(parents=True, exist_ok=True)
        for file, policy in maps.get(f"{name}-policies", {"others.cedar": OTHERS}).items():
            (policies / file).write_text(policy)
        config = root / "etc/countersign/config/countersign.toml"
        config.parent.mkdir(parents=True)
        config.write_text(text)
        done = subprocess.run([program, "check", "--config", config], capture_output=True, text=True)
        print(f"{name}:\n{done.stdout}{done.stderr}")
        if done.returncode:
            sys.exit(1)
sys.exit(found == 0)
