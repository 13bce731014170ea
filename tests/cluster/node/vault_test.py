"""An enclave whose Vault is sealed and unsealed, and one that was injected."""

import json
import time
import unittest

from machine import IMAGE, apply, eventually, helm, kubectl, run, volume
from pods import Pods
from vault import staging


class Vault(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.staging = staging()
        cls.pods, cls.share = cls.staging.pods, cls.staging.share

    def test_1_signs(self):
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")

    def test_2_sealed_and_unsealed(self):
        before = self.pods.names()
        self.staging.vault("operator", "seal")
        time.sleep(10)
        self.assertTrue(self.pods.ready(), "a short outage takes no pod away")
        eventually(lambda: self.assertFalse(self.pods.ready()))
        self.staging.vault("operator", "unseal", self.staging.key)
        eventually(lambda: self.assertTrue(self.pods.ready()))
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")
        self.assertEqual(self.pods.names(), before)
        restarts = kubectl("-n", "staging", "get", *before, "-o", "jsonpath={.status.initContainerStatuses[0].restartCount}")
        self.assertEqual(restarts, "0")

    def test_3_starts_while_sealed(self):
        before = self.pods.names()
        self.staging.vault("operator", "seal")
        kubectl("-n", "staging", "delete", *before, "--grace-period", "5")

        def runs():
            found = json.loads(kubectl("-n", "staging", "get", "pods", "-l", "app.kubernetes.io/instance=pay", "-o", "json"))["items"]
            self.assertEqual([each["status"]["phase"] for each in found if f"pod/{each['metadata']['name']}" not in before], ["Running"])
        # Each pod has a volume of its own, and here somebody has to make it.
        volume("staging-again")
        eventually(runs)
        self.assertFalse(self.pods.ready())
        self.staging.vault("operator", "unseal", self.staging.key)
        eventually(lambda: self.assertTrue(self.pods.ready()))
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")

    def test_4_injected(self):
        policy = '@id("app") permit (principal == Caller::"app", action == Action::"Sign", resource) when { resource.wallet == "example" };'
        enclave = {**self.staging.enclave, "callers": [{"name": "app", "uid": 10001}], "state": {"kind": "emptyDir"},
                   "policies": {"files": [{"name": "app.cedar", "text": policy}]},
                   # With custody beside it, the role of the store that was set up is the one that writes.
                   "vault": {**self.staging.enclave["vault"], "storeRole": "countersign-staging-store"}}
        helm("install", "wallets", "countersign-injector", "kube-system", {"namespaces": ["staging"], "enclave": enclave})
        self.addCleanup(run, "helm", "uninstall", "wallets", "-n", "kube-system")
        container = {"name": "app", "image": f"countersign.test/countersign@{IMAGE}", "command": ["/countersign"], "stdin": True,
                     "args": ["payload", "decode", "--kind", "message", "--file", "-"],
                     "securityContext": {"runAsUser": 10001, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
                                         "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}}
        labels = {"app.kubernetes.io/instance": "team", "countersign/inject": "wallets"}
        time.sleep(2)
        apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "team", "namespace": "staging"}, "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "team"}},
            "template": {"metadata": {"labels": labels},
                         "spec": {"serviceAccountName": "pay", "terminationGracePeriodSeconds": 30, "containers": [container]}}}})
        self.addCleanup(kubectl, "-n", "staging", "delete", "deploy", "team")
        team = Pods("staging", "team")
        eventually(lambda: self.assertTrue(team.ready()))
        self.assertRegex(team.sign(self.share), "^[0-9a-f]{128}$")
