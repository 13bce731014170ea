"""A real Vault on the node, which knows the cluster's tokens: set up by the commands of the chart's Job."""

import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import yaml

from machine import ADDRESS, HELM, NODE, SMALL, STATE, apply, eventually, helm, kubectl, namespace, run, volume
from pods import Pods


@functools.cache
def staging():
    """For all tests the same, which the last one ends."""
    return Staging()


class Staging:
    """The namespace `staging`, with one release, `pay`, whose KMS and store are the Vault."""

    def __init__(self):
        self.directory = work = STATE / "vault"
        shutil.rmtree(work, ignore_errors=True)
        (work / "plugins").mkdir(parents=True)
        binary = pathlib.Path(os.environ["VAULT"])
        shutil.copy(binary.parent / "plugins/vault-plugin-auth-kubernetes", work / "plugins")
        os.symlink(binary, work / "vault")

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=work)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", *key, "-keyout", "server.key", "-out", "request", "-subj", "/CN=vault")
        (work / "extensions").write_text(f"basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:{ADDRESS}\n")
        openssl("x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-extfile", "extensions",
                "-out", "server.crt")
        (work / "server.hcl").write_text(f'''storage "inmem" {{}}
listener "tcp" {{
  address = "{ADDRESS}:8200"
  tls_cert_file = "{work}/server.crt"
  tls_key_file = "{work}/server.key"
}}
plugin_directory = "{work}/plugins"
disable_mlock = true
api_addr = "https://{ADDRESS}:8200"
''')
        self.server = subprocess.Popen([*NODE, "sh", "-c", f"echo $$ >{work}/pid; exec {work}/vault server -config={work}/server.hcl"],
                                       stdout=open(work / "log", "w"), stderr=subprocess.STDOUT)
        self.token = ""
        made = eventually(lambda: self.vault("operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"))
        made = json.loads(made)
        self.token, self.key = made["root_token"], made["unseal_keys_b64"][0]
        self.vault("operator", "unseal", self.key)
        plugin = hashlib.sha256((work / "plugins/vault-plugin-auth-kubernetes").read_bytes()).hexdigest()
        eventually(lambda: self.vault("plugin", "register", f"-sha256={plugin}", "auth", "vault-plugin-auth-kubernetes"))
        self.vault("auth", "enable", "-path=kubernetes", "vault-plugin-auth-kubernetes")
        apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reviewer", "namespace": "kube-system"}},
              {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reviewer"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
               "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": "kube-system"}]})
        reviewer = kubectl("-n", "kube-system", "create", "token", "reviewer", "--duration", "1h").strip()
        self.vault("write", "auth/kubernetes/config", f"kubernetes_host=https://{ADDRESS}:6443",
                  f"kubernetes_ca_cert=@{os.environ['AUTHORITY']}", f"token_reviewer_jwt={reviewer}")
        self.vault("secrets", "enable", "-path=secret", "-version=2", "kv")
        eventually(lambda: self.vault("write", "secret/config", "cas_required=true"))
        self.install()

    def install(self):
        namespace("staging")
        volume("staging")
        kubectl("-n", "staging", "create", "configmap", "vault-ca", f"--from-file={self.directory}/ca.crt")
        self.enclave = {"environment": "staging", "kms": {"kind": "vault-transit"}, "store": {"kind": "vault-kv"},
                        "vault": {"addresses": [f"https://{ADDRESS}:8200"], "ca": {"configMap": "vault-ca"}}}
        values = {"enclave": {**self.enclave, "state": {"kind": "ephemeral"}}}
        self.set_up(values)
        helm("install", "pay", "countersign", "staging", values, "--wait", "--timeout", "90s")
        self.pods = Pods("staging", "pay")
        self.share = self.pods.generate()

    def end(self):
        run("helm", "uninstall", "pay", "-n", "staging")
        run("kill", "-KILL", (self.directory / "pid").read_text().strip())
        self.server.wait()

    def vault(self, *arguments):
        return run(self.directory / "vault", *arguments, VAULT_ADDR=f"https://{ADDRESS}:8200", VAULT_CACERT=self.directory / "ca.crt",
                   VAULT_TOKEN=self.token, HOME=self.directory)

    def set_up(self, values):
        """What the Job would do, whose image there is not."""
        values = {**SMALL, **values, "vaultSetup": {"enabled": True, "token": {"secret": "administrator"}}}
        rendered = run("helm", "template", "pay", f"{HELM}/countersign", "-n", "staging", "-f", "-", text=yaml.safe_dump(values))
        work = self.directory
        for each in yaml.safe_load_all(rendered):
            if each and each["kind"] == "ConfigMap" and "setup.sh" in each["data"]:
                for name, text in each["data"].items():
                    (work / name).write_text(text.replace("/setup/", f"{work}/").replace("/token/token", f"{work}/token"))
        (work / "token").write_text(self.token)
        run("sh", work / "setup.sh", PATH=f"{work}:{os.environ['PATH']}", VAULT_ADDR=f"https://{ADDRESS}:8200",
            VAULT_CACERT=work / "ca.crt", HOME=work)
