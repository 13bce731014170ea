"""The pods of one Deployment."""

import json

from machine import kubectl, run

SOCKET = ["--socket", "/run/countersign/enclave.sock"]
CUSTODY = ["--socket", "/run/countersign-custody/custody.sock"]


class Pods:
    def __init__(self, space, name):
        self.space, self.name = space, name

    def exec(self, container, *arguments, user=None):
        who = ["--as", user, "--as-group", "system:authenticated"] if user else []
        return kubectl("-n", self.space, *who, "exec", f"deploy/{self.name}", "-c", container, "--", "/countersign", *arguments)

    def generate(self, container="countersign", wallet="example", **options):
        made = self.exec(container, "share", "generate", *CUSTODY, "--wallet-id", wallet, "--algorithm", "ed25519", "--json", **options)
        return json.loads(made)["share_id"]

    def sign(self, share, wallet="example"):
        return self.exec("app", "sign", *SOCKET, "--share-id", share, "--wallet-id", wallet, "--message", "hello").strip()

    def names(self):
        found = kubectl("-n", self.space, "get", "pods", "-l", f"app.kubernetes.io/instance={self.name}", "-o", "name")
        return found.split()

    def ready(self):
        found = kubectl("-n", self.space, "get", "deploy", self.name, "-o", "jsonpath={.status.readyReplicas}")
        return found == "1"

    def kill_enclaves(self):
        pods = json.loads(kubectl("-n", self.space, "get", *self.names(), "-o", "json"))
        uids = [pod["metadata"]["uid"] for pod in pods.get("items", [pods])]
        for process in run("pgrep", "-f", "serve --config /etc/countersign/config").split():
            if any(uid in run("cat", f"/proc/{process}/cgroup") for uid in uids):
                run("kill", "-KILL", process)
