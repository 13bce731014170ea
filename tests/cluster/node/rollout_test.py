"""A rolling update under load: no request fails, and what clients hold is in the logs of the pods that signed it."""

import collections
import unittest

from book import Books, Log, digests
from machine import eventually, helm, run, volume
from pods import Pods
from vault import staging


class Rollout(unittest.TestCase):
    def test_no_request_is_lost(self):
        vault = staging()
        # Two pods, and two in their place: each has a volume of its own, and here somebody has to make it.
        states = [f"rolling-{number}" for number in range(4)]
        for state in states:
            volume(state, "rolling")
        books, pods = Books("staging", "rolling-books"), Pods("staging", "rolling")
        # The records and the KEK are those of `pay`, and so are its service account and its share.
        enclave = {**vault.enclave, "state": {"kind": "ephemeral", "storageClassName": "rolling"}}
        values = {"replicas": 2, "serviceAccount": {"create": False, "name": "pay"}, "app": books.application(vault.share)}

        def signing(pods):
            self.assertEqual([pod for pod in pods if len(books[pod].held()) < 20], [])

        helm("install", "rolling", "countersign", "staging", {**values, "enclave": enclave}, "--wait", "--timeout", "120s")
        before = set(books.all())
        self.assertEqual(len(before), 2)
        eventually(lambda: signing(before), 120)

        changed = {**enclave, "limits": {"inFlight": 128}}
        helm("upgrade", "rolling", "countersign", "staging", {**values, "enclave": changed}, "--wait", "--timeout", "240s")
        after = set(books.all()) - before
        self.assertEqual(len(after), 2)
        eventually(lambda: signing(after), 120)
        eventually(lambda: self.assertEqual(len(pods.names()), 2), 120)
        run("helm", "uninstall", "rolling", "-n", "staging", "--wait", "--timeout", "120s")
        eventually(lambda: self.assertEqual(pods.names(), []), 120)

        books = books.all()
        self.assertEqual(set(books), before | after)
        for pod, book in books.items():
            with self.subTest(pod=pod):
                self.assertEqual(book.has("failed"), [])
                self.assertEqual((len(book.has("began")), len(book.has("ended"))), (1, 1))
                self.assertGreater(book.held_since("told"), 0, "the enclave answers until its application is gone")
        held = digests(signature for book in books.values() for signature in book.held())
        logs = [Log(state) for state in states]
        for log in logs:
            self.assertEqual(log.records[-1]["event"], "stopped")
            self.assertIn("the log is intact", log.verify())
        recorded = sum((log.signed() for log in logs), collections.Counter())
        self.assertEqual(held, recorded)
        self.assertEqual(max(held.values()), 1)
        failed = sum(len(book.has("failed")) for book in books.values())
        print(f"{held.total()} signatures of {len(books)} pods, {recorded.total()} recorded, {failed} requests failed ... ", end="", flush=True)
