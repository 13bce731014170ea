"""accepted.py COUNTERSIGN RENDERED: gives every rendered configuration, with the policies beside it, to `countersign check`.

Directories are laid out as the pod would have them, below a temporary one. What comes from objects that a chart does not
make (authorities, passwords, policies of another ConfigMap) is made up."""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

AUTHORITY = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
             "-subj", "/CN=made up", "-keyout", "/dev/null", "-out"]
OTHERS = '@id("nobody") forbid (principal, action, resource);'

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
