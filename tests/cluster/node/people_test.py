"""The chart of custody, and people at its desks."""

import unittest

from machine import STATE, Failed, helm, namespace, run, volume
from pods import CUSTODY, Pods


class People(unittest.TestCase):
    """Custody, with an identity for each person."""

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
