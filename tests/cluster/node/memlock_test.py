"""A node where a container may lock 64 KiB, as before Linux 5.16."""

import json
import unittest

from machine import apply, eventually, helm, kubectl, namespace, run
from pods import Pods

LIMITED = {"spec": {"template": {"spec": {"runtimeClassName": "locking-64"}}}}


class Memlock(unittest.TestCase):
    def test_the_enclave_refuses_to_start(self):
        namespace("memlock")
        apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "locking-64"}, "handler": "locking-64"})
        helm("install", "tight", "countersign", "memlock", {"enclave": {"state": {"kind": "emptyDir"}}}, "--wait", "--timeout", "90s")
        self.addCleanup(run, "helm", "uninstall", "tight", "-n", "memlock")
        pods = Pods("memlock", "tight")
        self.assertTrue(pods.ready(), "with the node's own limit")
        before = pods.names()
        kubectl("-n", "memlock", "patch", "deploy", "tight", "-p", json.dumps(LIMITED))

        def refused():
            for name in set(pods.names()) - set(before):
                pod = json.loads(kubectl("-n", "memlock", "get", name, "-o", "json"))["status"]
                enclave, app = pod["initContainerStatuses"][0], pod["containerStatuses"][0]
                ended = enclave["state"].get("terminated") or enclave["lastState"]["terminated"]
                return ended, app
            raise AssertionError("no pod")
        ended, app = eventually(lambda: self.described(refused))
        self.assertNotEqual(ended["exitCode"], 0)
        self.assertRegex(ended["message"], r"cannot lock \d+ KiB of secret memory: RLIMIT_MEMLOCK allows 64 KiB\. Raise it")
        self.assertEqual(app["state"]["waiting"]["reason"], "PodInitializing", "the application never starts")
        # The rollout stops there: the pod that signs stays.
        self.assertTrue(set(before) <= set(pods.names()) and pods.ready())

    def described(self, attempt):
        try:
            return attempt()
        except KeyError as missing:
            raise AssertionError(f"no {missing} yet") from missing
