"""vault_policies.py COUNTERSIGN RENDERED CUSTODY: the policies that the Job writes are those of `countersign vault policy`."""

import re
import subprocess
import sys

import yaml

program, rendered, custody = sys.argv[1:]
maps = [each["data"] for each in yaml.safe_load_all(open(rendered)) if each and each["kind"] == "ConfigMap"]
environment = next(re.search(r'^environment = "(.*)"$', data["countersign.toml"], re.M)[1] for data in maps if "countersign.toml" in data)
setup = next(data for data in maps if "setup.sh" in data)
roles = {"signer": "signer", "custodian": "custodian", "store": "store" if custody == "true" else "store-reader"}


def rules(text):
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


compared = 0
for login, role in roles.items():
    if f"{login}.hcl" not in setup:
        continue
    compared += 1
    told = subprocess.run([program, "vault", "policy", "--role", role, "--environment", environment],
                          check=True, capture_output=True, text=True).stdout
    if rules(told) != rules(setup[f"{login}.hcl"]):
        print(f"{environment}, {login}:\n{told}\n--- and the chart:\n{setup[f'{login}.hcl']}")
        sys.exit(1)
sys.exit(compared != (3 if custody == "true" else 2))
