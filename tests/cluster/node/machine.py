"""The node: what the environment says of it (../node.py), and what the tests do with it."""

import os
import pathlib
import shlex
import subprocess
import time

import yaml

HELM = os.environ["HELM"]
NODE = shlex.split(os.environ["NODE"])
STATE = pathlib.Path(os.environ["STATE"])
IMAGE, ADDRESS = os.environ["IMAGE"], os.environ["ADDRESS"]
# A small node: what is asked for has to fit beside the rest.
SMALL = {"enclave": {"image": {"repository": "countersign.test/countersign", "digest": IMAGE}, "resources": {"cpu": "200m"}}}


class Failed(Exception):
    pass


def run(*command, text=None, **environment):
    done = subprocess.run([*NODE, "env", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)],
                          input=text, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stdout + done.stderr)
    return done.stdout


def kubectl(*arguments, **options):
    return run("kubectl", *arguments, **options)


def apply(*things):
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all(things))


def namespace(name):
    apply({"apiVersion": "v1", "kind": "Namespace",
           "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})


def volume(name, kind=""):
    """A volume of the node's disk: nothing here provides any. Claims of storage class `kind` get it."""
    (STATE / name).mkdir(parents=True, exist_ok=True)
    here = [{"key": "kubernetes.io/hostname", "operator": "Exists"}]
    apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
        "capacity": {"storage": "4Gi"}, "storageClassName": kind, "accessModes": ["ReadWriteOnce"], "local": {"path": str(STATE / name)},
        "persistentVolumeReclaimPolicy": "Retain",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": here}]}}}})


def helm(verb, release, chart, space, values, *arguments):
    merged = {**SMALL, **values, "enclave": {**SMALL["enclave"], **values.get("enclave", {})}}
    return run("helm", verb, release, f"{HELM}/{chart}", "-n", space, "-f", "-", *arguments, text=yaml.safe_dump(merged))


def eventually(attempt, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (AssertionError, Failed):
            if time.monotonic() > end:
                raise
            time.sleep(1)
