"""docs/operate.md, followed to the letter: the commands from nothing to a signature, and those of the rotation.

After the tests that share the Vault: its roles are bound to another namespace then."""

import os
import pathlib
import re
import unittest

from machine import ADDRESS, HELM, IMAGE, STATE, kubectl, run, volume
from vault import staging

PAGE = pathlib.Path(HELM).parent / "docs/operate.md"
# What the page leaves to its reader.
OWN = {
    "registry.example.org/countersign": "countersign.test/countersign",
    "sha256:" + 64 * "1": IMAGE,
    "hashicorp/vault": "countersign.test/vault",
    "sha256:" + 64 * "2": os.environ["VAULT_IMAGE"],
    "https://vault.vault.svc:8200": f"https://{ADDRESS}:8200",
}


def fences(section, language):
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)[1]
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    for theirs, ours in OWN.items():
        found = [each.replace(theirs, ours) for each in found]
    return found


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = staging()
        cls.work = work = STATE / "page"
        (work / "bin").mkdir(parents=True)
        os.symlink(HELM, work / "helm")
        os.symlink(os.environ["VAULT"], work / "bin/vault")
        os.symlink(os.environ["COUNTERSIGN"], work / "bin/countersign")
        volume("payments")

    @classmethod
    def tearDownClass(cls):
        run("helm", "uninstall", "pay", "-n", "payments")

    def follow(self, commands):
        """In a shell, as their reader, who is Vault's administrator."""
        return run("sh", "-c", f"set -eu; cd {self.work}; PATH={self.work}/bin:$PATH; {commands}", HOME=self.work, VAULT_TOKEN=self.vault.token,
                   VAULT_ADDR=f"https://{ADDRESS}:8200", VAULT_CACERT=self.vault.directory / "ca.crt")

    def test_1_from_nothing_to_a_signature(self):
        (values,), (commands,) = fences("From nothing to a signature", "yaml"), fences("From nothing to a signature", "sh")
        (self.work / "values.yaml").write_text(values)
        said = self.follow(commands)
        self.assertRegex(said, "(?m)^[0-9a-f]{128}$")
        self.assertIn("the log is intact", said)
        left = kubectl("-n", "payments", "get", "job,configmap,networkpolicy,secret", "-o", "name").split()
        self.assertEqual([each for each in left if "vault-setup" in each or "administrator" in each], [])

    def test_2_rotation(self):
        login, objects = fences("Rotation", "yaml")
        (self.work / "rotator.yaml").write_text(login)
        (self.work / "objects.yaml").write_text(objects)
        (commands,) = fences("Rotation", "sh")
        self.follow(commands)
        self.follow("helm upgrade pay helm/countersign --namespace payments --values values.yaml --values rotator.yaml --wait")
        kubectl("apply", "-f", self.work / "objects.yaml")
        self.vault.vault("write", "-f", "transit/keys/countersign-staging/rotate")
        self.follow("kubectl -n payments create job --from=cronjob/rotator rotate-now")
        kubectl("-n", "payments", "wait", "--for=condition=Complete", "job/rotate-now", "--timeout=90s")
        self.assertRegex(kubectl("-n", "payments", "logs", "job/rotate-now"), r"(?m)^rewrapped +1$")

    def test_3_rollback(self):
        (command,) = fences("Rollback", "sh")
        self.follow(command)
