"""An ephemeral container beside the enclave, where no policy keeps it out: what the application's user sees of the enclave."""

import json
import os
import unittest

from machine import STATE, eventually, kubectl
from vault import staging

TOKEN = "/var/run/secrets/countersign/token"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
              "seccompProfile": {"type": "RuntimeDefault"}}


class Ephemeral(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pods = staging().pods
        cls.pod = cls.pods.names()[0]

    def look(self, name, uid, files, mounts=()):
        """What a container with the enclave's processes says of files."""
        STATE.mkdir(exist_ok=True)
        container = STATE / f"{name}.json"
        container.write_text(json.dumps({"securityContext": {**RESTRICTED, "runAsUser": uid, "runAsGroup": uid},
                                         "volumeMounts": list(mounts)}))
        kubectl("-n", "staging", "debug", self.pod, "--image", f"countersign.test/application@{os.environ['APPLICATION']}", "--container", name,
                "--target", "countersign", "--profile", "restricted", "--custom", container, "--arguments-only", "--", "look", *files)

        def said():
            pod = json.loads(kubectl("-n", "staging", "get", self.pod, "-o", "json"))
            status = next(each for each in pod["status"].get("ephemeralContainerStatuses", []) if each["name"] == name)
            self.assertEqual(status["state"].get("terminated", {}).get("reason"), "Completed", status)
            lines = kubectl("-n", "staging", "logs", self.pod, "-c", name).splitlines()
            self.assertEqual(len(lines), len(files), lines)
            return dict(line.split(": ", 1) for line in lines)
        return eventually(lambda: self.present(said))

    def present(self, attempt):
        try:
            return attempt()
        except StopIteration:
            raise AssertionError("no status yet") from None

    def test_no_process_reads_the_enclave(self):
        # The enclave is the first process of the container whose processes these are.
        own = [f"/proc/self/{each}" for each in ("mem", "environ", "maps", "fd", "root/etc")]
        its = [f"/proc/1/{each}" for each in ("mem", "environ", "maps", "smaps", "auxv", "syscall", "stack", "fd", "map_files", "io", "cwd")]
        its += [f"/proc/1/root{each}" for each in ("", TOKEN, "/var/lib/countersign", "/var/lib/countersign/audit")]
        for name, uid in ("another", 10001), ("same", 64035):
            with self.subTest(name):
                said = self.look(name, uid, ["/proc/1/cmdline", *own, *its])
                self.assertEqual(said["/proc/1/cmdline"], "read", "it is there")
                self.assertEqual({said[each] for each in own} - {"read", "opened"}, set(), "of a process of one's own they can be read")
                denied = ("permission denied", "operation not permitted")
                self.assertEqual({each: said[each] for each in its if said[each] not in denied}, {})

    def test_the_state_is_for_its_owner(self):
        state = {"name": "countersign-state", "mountPath": "/state", "readOnly": True}
        files = [f"/state/audit{each}" for each in ("", "/00000000000000000000.log", "/checkpoint", "/identity.json", "/lock")]
        said = self.look("mounts", 10001, ["/state", *files], [state])
        self.assertEqual(said.pop("/state"), "read", "it is there")
        self.assertEqual(said, dict.fromkeys(files, "permission denied"))
