"""The defaults of the chart: installed, used, killed, replaced."""

import copy
import unittest

import yaml

from machine import HELM, SMALL, Failed, apply, eventually, helm, kubectl, namespace, run, volume
from pods import CUSTODY, SOCKET, Pods


class Development(unittest.TestCase):
    """The defaults, with the digest of an image."""

    @classmethod
    def setUpClass(cls):
        namespace("development")
        volume("development")
        helm("install", "dev", "countersign", "development", {}, "--wait", "--timeout", "90s")
        cls.pods = Pods("development", "dev")
        cls.share = cls.pods.generate()
        cls.signature = cls.pods.sign(cls.share)

    @classmethod
    def tearDownClass(cls):
        run("helm", "uninstall", "dev", "-n", "development")

    def test_policy_decides(self):
        with self.assertRaisesRegex(Failed, "POLICY_DENIED"):
            self.pods.sign(self.share, wallet="other")

    def test_the_application_sees_no_custody(self):
        with self.assertRaisesRegex(Failed, "No such file"):
            self.pods.exec("app", "share", "list", *CUSTODY)

    def test_a_killed_enclave_comes_back(self):
        self.pods.kill_enclaves()
        restarts = ["-n", "development", "get", self.pods.names()[0], "-o", "jsonpath={.status.initContainerStatuses[0].restartCount}"]
        eventually(lambda: self.assertEqual(kubectl(*restarts), "1"))
        eventually(lambda: self.assertEqual(self.pods.sign(self.share), self.signature))
        eventually(lambda: self.assertTrue(self.pods.ready()))
        self.assertIn("the log is intact", self.pods.exec("countersign", "audit", "verify", "/var/lib/countersign/audit"))

    def test_another_pod_has_the_same_shares(self):
        before = self.pods.names()
        kubectl("-n", "development", "delete", *before, "--grace-period", "5")
        eventually(lambda: self.assertTrue(self.pods.ready() and self.pods.names() != before))
        self.assertEqual(self.pods.sign(self.share), self.signature)

    def test_policies_are_read_without_a_restart(self):
        before = self.pods.names()
        policies = {"files": [{"name": "none.cedar", "text": '@id("none") forbid (principal, action, resource);'}]}
        helm("upgrade", "dev", "countersign", "development", {"enclave": {"policies": policies}})
        eventually(lambda: self.assertRaises(Failed, self.pods.sign, self.share), 120)
        helm("upgrade", "dev", "countersign", "development", {})
        eventually(lambda: self.assertEqual(self.pods.sign(self.share), self.signature), 120)
        self.assertEqual(self.pods.names(), before)

    def test_a_job_completes(self):
        values = yaml.safe_dump(SMALL)
        objects = yaml.safe_load_all(run("helm", "template", "dev", f"{HELM}/countersign", "-n", "development", "-f", "-", text=values))
        template = next(each for each in objects if each and each["kind"] == "Deployment")["spec"]["template"]
        template = copy.deepcopy(template)
        template["metadata"]["labels"] = {"job": "sign"}
        spec, container = template["spec"], template["spec"]["containers"][0]
        spec["restartPolicy"] = "Never"
        # The claim is the Deployment's: another instance has a log and a store of its own, and so no share. It asks for the health.
        next(each for each in spec["volumes"] if each["name"] == "countersign-state").pop("persistentVolumeClaim")
        next(each for each in spec["volumes"] if each["name"] == "countersign-state")["emptyDir"] = {}
        container["args"] = ["health", *SOCKET]
        for key in ("livenessProbe", "readinessProbe"):
            container.pop(key)
        apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sign", "namespace": "development"},
               "spec": {"backoffLimit": 5, "template": template}})
        kubectl("-n", "development", "wait", "--for=condition=Complete", "job/sign", "--timeout=60s")
        self.assertIn("readiness: serving", kubectl("-n", "development", "logs", "job/sign", "-c", "app"))
