"""schemas.py VERSION DIR: the JSON schemas of one Kubernetes version, as the Python package kubernetes-validate carries
them, as files that kubeconform reads: references between files instead of between addresses."""

import json
import pathlib
import sys

import kubernetes_validate

version, target = sys.argv[1], pathlib.Path(sys.argv[2])
source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
target.mkdir(parents=True, exist_ok=True)
for file in source.glob("*.json"):
    schema = json.loads(file.read_text())
    schema.pop("$id", None)
    text = json.dumps(schema).replace('"/api/_definitions.json#', '"_definitions.json#')
    (target / file.name).write_text(text)
