"""What the clients of an application hold: the books that node/application writes, and the audit logs that have to say the same."""

import collections
import gzip
import hashlib
import json
import os

from machine import STATE, apply, run, volume


class Books:
    """A directory in which each pod of an application writes."""

    def __init__(self, space, name):
        self.name, self.directory = name, STATE / name
        volume(name, name)
        apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": space},
               "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": {"requests": {"storage": "1Gi"}}}})

    def application(self, share, clients=2):
        """Values of the chart: an application that signs and writes here."""
        ready = {"exec": {"command": ["/countersign", "health", "--socket", "/run/countersign/enclave.sock"]}, "timeoutSeconds": 3}
        return {"image": {"repository": "countersign.test/application", "digest": os.environ["APPLICATION"]}, "readinessProbe": ready,
                "args": ["sign", "/books", share, "example", str(clients)],
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
                "volumes": [{"name": "books", "persistentVolumeClaim": {"claimName": self.name}}],
                "volumeMounts": [{"name": "books", "mountPath": "/books"}]}

    def __getitem__(self, pod):
        return Book(self.directory / pod)

    def all(self):
        return {each.name: Book(each) for each in self.directory.iterdir()}


class Book:
    """What one pod wrote, in its order."""

    def __init__(self, path):
        self.lines = [line.split(" ", 1) for line in path.read_text().splitlines()]

    def has(self, word):
        return [text for each, text in self.lines if each == word]

    def held(self):
        return self.has("held")

    def held_since(self, word):
        words = [each for each, _ in self.lines]
        return words[words.index(word):].count("held") if word in words else 0


def digests(signatures):
    """As the audit log has them."""
    return collections.Counter(hashlib.sha256(bytes.fromhex(each)).hexdigest() for each in signatures)


class Log:
    """The audit log of a volume."""

    def __init__(self, name):
        self.directory = STATE / name / "audit"
        self.records = []
        for file in sorted([*self.directory.glob("*.log"), *self.directory.glob("*.log.gz")]):
            text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            # One that is being written may end in the middle of a line.
            lines = text[:text.rfind(b"\n") + 1].splitlines()
            self.records += [json.loads(line.split(b" ", 1)[1]) for line in lines]

    def ended(self, action="Sign"):
        """What became of each request: its outcomes, where it has one."""
        open = {each["seq"]: each.get("ended") for each in self.records if each["event"] == "request" and each["action"] == action}
        for each in self.records:
            if each["event"] == "outcome" and each["of"] in open:
                open[each["of"]] = each
        return list(open.values())

    def signed(self):
        return collections.Counter(each["signature"] for each in self.ended() if each and each["outcome"] == "signed")

    def key(self):
        return [each["key"] for each in self.records if each["event"] == "identity"][-1]

    def verify(self, *arguments):
        return run(os.environ["COUNTERSIGN"], "audit", "verify", self.directory, *arguments)
