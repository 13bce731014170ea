"""An enclave that ends while its application signs: what clients hold is in its audit log."""

import json
import sqlite3
import subprocess
import unittest

from book import Books, Log, digests
from machine import NODE, STATE, eventually, helm, kubectl, namespace, run, volume
from pods import Pods

CLIENTS = 2


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        namespace("load")
        volume("load", "load")
        cls.books, cls.pods = Books("load", "load-books"), Pods("load", "load")
        cls.values = values = {"enclave": {"state": {"storageClassName": "load"}}}
        helm("install", "load", "countersign", "load", values, "--wait", "--timeout", "90s")
        cls.addClassCleanup(run, "helm", "uninstall", "load", "-n", "load")
        share = cls.pods.generate()
        signs = {**values, "app": cls.books.application(share, CLIENTS)}
        helm("upgrade", "load", "countersign", "load", signs, "--wait", "--timeout", "90s")

    def working(self, but=None):
        """The pod that signs now, when it has signed for a while."""
        def works():
            name = self.pods.names()[-1].removeprefix("pod/")
            self.assertNotEqual(name, but)
            self.assertTrue(self.pods.ready())
            self.assertGreater(len(self.books[name].held()), 20)
            return name
        return eventually(works, 120)

    def assert_recorded(self, held, log):
        self.assertEqual(max(digests(held).values()), 1)
        self.assertEqual(digests(held) - log.signed(), {}, "held and not recorded")

    def test_1_a_pod_is_deleted(self):
        pod = self.working()
        kubectl("-n", "load", "delete", "pod", pod)
        book = self.books[pod]
        self.assertEqual(book.has("failed"), [])
        self.assertEqual(len(book.has("ended")), 1)
        self.assertGreater(book.held_since("told"), 0, "the enclave answers until its application is gone")
        log = Log("load")
        self.assert_recorded(book.held(), log)
        self.assertIn("the log is intact", log.verify())
        # The next one waited for the log, and has it, without a restart.
        following = self.working(pod)
        restarts = kubectl("-n", "load", "get", "pod", following, "-o", "jsonpath={.status.initContainerStatuses[*].restartCount}")
        self.assertEqual(restarts, "0")

    def test_2_an_enclave_is_killed(self):
        pod = self.working()
        self.pods.kill_enclaves()
        eventually(lambda: self.assertGreater(self.books[pod].held_since("failed"), 20), 120)
        # The log second: signing goes on.
        held = self.books[pod].held()
        log = Log("load")
        self.assert_recorded(held, log)
        self.assertIn("the log is intact", log.verify())

    def test_3_the_end(self):
        pod = self.working()
        said = subprocess.Popen([*NODE, "kubectl", "-n", "load", "logs", "--follow", pod, "-c", "countersign"],
                                stdout=subprocess.PIPE, text=True)
        kubectl("-n", "load", "scale", "deploy/load", "--replicas", "0")
        eventually(lambda: self.assertEqual(self.pods.names(), []), 90)
        said = [json.loads(line) for line in said.communicate()[0].splitlines()]

        # All of it, and nothing but what was given up when the enclave was killed.
        log, books = Log("load"), self.books.all()
        self.assertEqual([name for name, book in books.items() if not book.has("ended")], [])
        held = digests(signature for book in books.values() for signature in book.held())
        lost = sum(len(book.has("failed")) for book in books.values())
        self.assertEqual(held - log.signed(), {}, "held and not recorded")
        self.assertLessEqual((log.signed() - held).total(), min(lost, CLIENTS))
        self.assertNotIn(None, log.ended())

        # The last head, in the file and in the pod's log, has every record.
        checkpoint = STATE / "load/audit/checkpoint"
        self.assertEqual(checkpoint.read_text().splitlines()[1], str(len(log.records)))
        self.assertEqual(log.records[-1]["event"], "stopped")
        self.assertIn(checkpoint.read_text(), json.dumps(said, ensure_ascii=False).replace("\\n", "\n"))
        self.assertIn("the log is intact", log.verify("--checkpoint", checkpoint, "--key", log.key()))
        print(f"{held.total()} signatures held, {log.signed().total()} recorded, {lost} requests failed ... ", end="", flush=True)

        # To the last one, before the process ended.
        used = sum(each["outcome"] in ("signed", "indeterminate") for each in log.ended())
        self.assertEqual(self.counted(), used)

    def counted(self):
        store = sqlite3.connect(f"file:{STATE / 'load/shares.db'}?mode=ro", uri=True)
        return store.execute("SELECT sum(access_count) FROM server_wallet_key_shares").fetchone()[0]
