"""The chart of custody: people with certificates, and people at its desks."""

import json
import os
import subprocess
import unittest

from machine import NODE, STATE, Failed, apply, eventually, helm, namespace, run, volume
from pods import CUSTODY, Pods

PEOPLE = "spiffe://example.org/people"


class Authority:
    """Signs certificates, in a directory of its own."""

    def __init__(self, name):
        self.directory = STATE / name
        self.directory.mkdir()
        self.openssl("req", "-x509", *self.key("ca"), "-days", "1", "-out", "ca.crt", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.directory)

    def key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    def sign(self, name, alternative):
        (self.directory / "extensions").write_text(f"basicConstraints=critical,CA:FALSE\nsubjectAltName={alternative}\n")
        self.openssl("req", *self.key(name), "-subj", f"/CN={name}", "-out", "request")
        self.openssl("x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
                     "-extfile", "extensions", "-out", f"{name}.crt")

    def text(self, file):
        return (self.directory / file).read_text()


class Person:
    """Somebody with a certificate and the program, at the end of a forwarded port."""

    def __init__(self, name, signed_by, server):
        self.files = ["--certificate-file", signed_by.directory / f"{name}.crt", "--key-file", signed_by.directory / f"{name}.key",
                      "--ca-file", server.directory / "ca.crt"]
        signed_by.sign(name, f"URI:{PEOPLE}/{name}")

    def share(self, *arguments):
        return run(os.environ["COUNTERSIGN"], "share", *arguments, "--server", "https://localhost:8444", "--server-name", "ops.people.svc", *self.files)

    def generate(self):
        made = self.share("generate", "--wallet-id", "treasury-1", "--algorithm", "ed25519", "--json")
        return json.loads(made)["share_id"]


class People(unittest.TestCase):
    """Custody, with an identity for each person."""

    def test_certificates(self):
        namespace("people")
        volume("people")
        servers, people = Authority("servers"), Authority("people-ca")
        servers.sign("custody", "DNS:ops.people.svc")
        apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "custody-tls", "namespace": "people"},
               "stringData": {"tls.crt": servers.text("custody.crt"), "tls.key": servers.text("custody.key")}},
              {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "people-ca", "namespace": "people"},
               "data": {"ca.crt": people.text("ca.crt")}})
        operators = [{"name": "alice", "spiffeId": f"{PEOPLE}/alice", "user": "alice", "groups": ["custodians"]},
                     {"name": "bob", "spiffeId": f"{PEOPLE}/bob", "groups": ["operators"]}]
        tls = {"enabled": True, "secret": "custody-tls", "clientCa": {"configMap": "people-ca"}}
        helm("install", "ops", "countersign-custody", "people", {"operators": operators, "enclave": {"custody": {"tls": tls}}},
             "--wait", "--timeout", "90s")
        self.addCleanup(run, "helm", "uninstall", "ops", "-n", "people")
        forward = subprocess.Popen([*NODE, "kubectl", "--as", "alice", "--as-group", "system:authenticated", "-n", "people",
                                    "port-forward", "svc/ops", "8444"], stdout=subprocess.DEVNULL)
        self.addCleanup(forward.wait)
        self.addCleanup(forward.terminate)
        alice, bob = Person("alice", people, servers), Person("bob", people, servers)
        share = eventually(alice.generate)
        self.assertIn(share, bob.share("list"))
        with self.assertRaisesRegex(Failed, "POLICY_DENIED"):
            bob.generate()
        with self.assertRaisesRegex(Failed, "refuses the certificate of `--certificate-file`"):
            Person("alice", servers, servers).generate()
        with self.assertRaisesRegex(Failed, "which is not the enclave"):
            Pods("people", "ops").exec("countersign", "share", "list", *CUSTODY)
        log = "".join(file.read_text() for file in (STATE / "people" / "audit").glob("*.log"))
        self.assertIn('"caller":"alice","action":"GenerateShare"', log)
        self.assertIn('"caller":"bob","action":"ListShares"', log)

    def test_desks(self):
        namespace("custody")
        volume("custody")
        helm("install", "ops", "countersign-custody", "custody", {}, "--wait", "--timeout", "90s")
        self.addCleanup(run, "helm", "uninstall", "ops", "-n", "custody")
        pods = Pods("custody", "ops")
        share = pods.generate("alice", "treasury-1", user="alice")
        self.assertIn(share, pods.exec("bob", "share", "list", *CUSTODY, user="bob"))
        with self.assertRaisesRegex(Failed, "POLICY_DENIED"):
            pods.generate("bob", "treasury-1", user="bob")
        with self.assertRaisesRegex(Failed, "this desk is of somebody else"):
            pods.exec("alice", "share", "list", *CUSTODY, user="bob")
        with self.assertRaisesRegex(Failed, "which is not the enclave"):
            pods.exec("countersign", "share", "list", *CUSTODY, user="alice")
        log = "".join(file.read_text() for file in (STATE / "custody" / "audit").glob("*.log"))
        self.assertIn('"caller":"alice","action":"GenerateShare"', log)
        self.assertIn('"caller":"bob","action":"ListShares"', log)
