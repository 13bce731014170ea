"""node.py HELM [TEST…]: the charts on a running node, as `helm install` installs them. The tests are node/*_test.py.

It takes a Kubernetes with one node, and of the environment

  NODE     a command before others, which runs them where `kubectl`, `helm` and `ctr` find that node
  STATE    a directory on the node's disk, for volumes
  COUNTERSIGN  the program, to read logs that no pod writes any more
  IMAGE    the digest of an image `countersign` that the node has
  APPLICATION  the digest of an image `application` likewise: node/application, and countersign beside it
  VAULT_IMAGE  the digest of an image `vault` likewise, with a shell and the command
  ADDRESS  an address of the node that pods reach, where a Vault can listen
  AUTHORITY  the file with the authority of the API server, which is at ADDRESS, too, port 6443
  VAULT    a Vault, with its plugin for Kubernetes in `plugins` beside it
"""

import os
import pathlib
import sys
import unittest

os.environ["HELM"] = sys.argv.pop(1)
sys.path.insert(0, str(pathlib.Path(__file__).parent / "node"))

import vault

# A node is small: one after the other, and last those that share a Vault.
TESTS = ["development", "people", "load", "memlock", "vault", "ephemeral", "rollout", "page"]


class Result(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


if __name__ == "__main__":
    names = sys.argv[1:] or [f"{name}_test" for name in TESTS]
    tests = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(unittest.defaultTestLoader.loadTestsFromNames(names))
    if vault.staging.cache_info().currsize:
        vault.staging().end()
    failed = len(tests.failures) + len(tests.errors)
    print(f"{tests.passed} passed, {failed} failed")
    sys.exit(failed > 0)
