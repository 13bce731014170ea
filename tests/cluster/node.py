"""node.py HELM: the charts on a running node, as `helm install` installs them.

It takes a Kubernetes with one node, and of the environment

  NODE     a command before others, which runs them where `kubectl`, `helm` and `ctr` find that node
  STATE    a directory on the node's disk, for volumes
  IMAGE    the digest of an image `countersign` that the node has
  ADDRESS  an address of the node that pods reach, where a Vault can listen
  AUTHORITY  the file with the authority of the API server, which is at ADDRESS, too, port 6443
  VAULT    a Vault, with its plugin for Kubernetes in `plugins` beside it
"""

import copy
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
import unittest

import yaml

HELM = sys.argv.pop(1)
NODE = shlex.split(os.environ["NODE"])
STATE = pathlib.Path(os.environ["STATE"])
IMAGE, ADDRESS = os.environ["IMAGE"], os.environ["ADDRESS"]
SOCKET = ["--socket", "/run/countersign/enclave.sock"]
CUSTODY = ["--socket", "/run/countersign-custody/custody.sock"]
# A small node: what is asked for has to fit beside the rest.
SMALL = {"enclave": {"image": {"digest": IMAGE}, "resources": {"cpu": "200m"}}}


class Failed(Exception):
    pass


def run(*command, text=None, **environment):
    done = subprocess.run([*NODE, "env", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)],
                          input=text, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stdout + done.stderr)
    return done.stdout


def kubectl(*arguments, **options):
    return run("kubectl", *arguments, **options)


def apply(*things):
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all(things))


def namespace(name):
    apply({"apiVersion": "v1", "kind": "Namespace",
           "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})


def volume(name):
    """A volume of the node's disk: nothing here provides any."""
    (STATE / name).mkdir(parents=True, exist_ok=True)
    here = [{"key": "kubernetes.io/hostname", "operator": "Exists"}]
    apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
        "capacity": {"storage": "4Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": str(STATE / name)},
        "persistentVolumeReclaimPolicy": "Retain",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": here}]}}}})


def helm(verb, release, chart, space, values, *arguments):
    merged = {**SMALL, **values, "enclave": {**SMALL["enclave"], **values.get("enclave", {})}}
    return run("helm", verb, release, f"{HELM}/{chart}", "-n", space, "-f", "-", *arguments, text=yaml.safe_dump(merged))


def eventually(attempt, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (AssertionError, Failed):
            if time.monotonic() > end:
                raise
            time.sleep(1)


class Pods:
    """What the tests do with the pods of one Deployment."""

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
        pod = json.loads(kubectl("-n", "development", "get", self.pods.names()[0], "-o", "json"))
        for process in run("pgrep", "-f", "serve --config /etc/countersign/config").split():
            if pod["metadata"]["uid"] in run("cat", f"/proc/{process}/cgroup"):
                run("kill", "-KILL", process)
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
        for key in ("stdin", "livenessProbe", "readinessProbe"):
            container.pop(key)
        apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sign", "namespace": "development"},
               "spec": {"backoffLimit": 5, "template": template}})
        kubectl("-n", "development", "wait", "--for=condition=Complete", "job/sign", "--timeout=60s")
        self.assertIn("readiness: serving", kubectl("-n", "development", "logs", "job/sign", "-c", "app"))


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


class Vault(unittest.TestCase):
    """A real Vault: the commands of the Job, the cluster's token, sealed and unsealed, and the injector."""

    @classmethod
    def setUpClass(cls):
        cls.directory = work = STATE / "vault"
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
        cls.server = subprocess.Popen([*NODE, "sh", "-c", f"echo $$ >{work}/pid; exec {work}/vault server -config={work}/server.hcl"],
                                      stdout=open(work / "log", "w"), stderr=subprocess.STDOUT)
        cls.token = ""
        made = eventually(lambda: cls.vault("operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"))
        made = json.loads(made)
        cls.token, cls.key = made["root_token"], made["unseal_keys_b64"][0]
        cls.vault("operator", "unseal", cls.key)
        plugin = hashlib.sha256((work / "plugins/vault-plugin-auth-kubernetes").read_bytes()).hexdigest()
        eventually(lambda: cls.vault("plugin", "register", f"-sha256={plugin}", "auth", "vault-plugin-auth-kubernetes"))
        cls.vault("auth", "enable", "-path=kubernetes", "vault-plugin-auth-kubernetes")
        apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reviewer", "namespace": "kube-system"}},
              {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reviewer"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
               "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": "kube-system"}]})
        reviewer = kubectl("-n", "kube-system", "create", "token", "reviewer", "--duration", "1h").strip()
        cls.vault("write", "auth/kubernetes/config", f"kubernetes_host=https://{ADDRESS}:6443",
                  f"kubernetes_ca_cert=@{os.environ['AUTHORITY']}", f"token_reviewer_jwt={reviewer}")
        cls.vault("secrets", "enable", "-path=secret", "-version=2", "kv")
        eventually(lambda: cls.vault("write", "secret/config", "cas_required=true"))

        namespace("staging")
        volume("staging")
        kubectl("-n", "staging", "create", "configmap", "vault-ca", f"--from-file={work}/ca.crt")
        cls.enclave = {"environment": "staging", "kms": {"kind": "vault-transit"}, "store": {"kind": "vault-kv"},
                       "vault": {"addresses": [f"https://{ADDRESS}:8200"], "ca": {"configMap": "vault-ca"}}}
        values = {"enclave": {**cls.enclave, "state": {"kind": "ephemeral"}}}
        cls.set_up(values)
        helm("install", "pay", "countersign", "staging", values, "--wait", "--timeout", "90s")
        cls.pods = Pods("staging", "pay")
        cls.share = cls.pods.generate()

    @classmethod
    def tearDownClass(cls):
        run("helm", "uninstall", "pay", "-n", "staging")
        run("kill", "-KILL", (cls.directory / "pid").read_text().strip())
        cls.server.wait()

    @classmethod
    def vault(cls, *arguments):
        return run(cls.directory / "vault", *arguments, VAULT_ADDR=f"https://{ADDRESS}:8200", VAULT_CACERT=cls.directory / "ca.crt",
                   VAULT_TOKEN=cls.token, HOME=cls.directory)

    @classmethod
    def set_up(cls, values):
        """What the Job would do, whose image there is not."""
        values = {**SMALL, **values, "vaultSetup": {"enabled": True, "token": {"secret": "administrator"}}}
        rendered = run("helm", "template", "pay", f"{HELM}/countersign", "-n", "staging", "-f", "-", text=yaml.safe_dump(values))
        work = cls.directory
        for each in yaml.safe_load_all(rendered):
            if each and each["kind"] == "ConfigMap" and "setup.sh" in each["data"]:
                for name, text in each["data"].items():
                    (work / name).write_text(text.replace("/setup/", f"{work}/").replace("/token/token", f"{work}/token"))
        (work / "token").write_text(cls.token)
        run("sh", work / "setup.sh", PATH=f"{work}:{os.environ['PATH']}", VAULT_ADDR=f"https://{ADDRESS}:8200",
            VAULT_CACERT=work / "ca.crt", HOME=work)

    def test_1_signs(self):
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")

    def test_2_sealed_and_unsealed(self):
        before = self.pods.names()
        self.vault("operator", "seal")
        time.sleep(10)
        self.assertTrue(self.pods.ready(), "a short outage takes no pod away")
        eventually(lambda: self.assertFalse(self.pods.ready()))
        self.vault("operator", "unseal", self.key)
        eventually(lambda: self.assertTrue(self.pods.ready()))
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")
        self.assertEqual(self.pods.names(), before)
        restarts = kubectl("-n", "staging", "get", *before, "-o", "jsonpath={.status.initContainerStatuses[0].restartCount}")
        self.assertEqual(restarts, "0")

    def test_3_starts_while_sealed(self):
        before = self.pods.names()
        self.vault("operator", "seal")
        kubectl("-n", "staging", "delete", *before, "--grace-period", "5")

        def runs():
            found = json.loads(kubectl("-n", "staging", "get", "pods", "-l", "app.kubernetes.io/instance=pay", "-o", "json"))["items"]
            self.assertEqual([each["status"]["phase"] for each in found if f"pod/{each['metadata']['name']}" not in before], ["Running"])
        # Each pod has a volume of its own, and here somebody has to make it.
        volume("staging-again")
        eventually(runs)
        self.assertFalse(self.pods.ready())
        self.vault("operator", "unseal", self.key)
        eventually(lambda: self.assertTrue(self.pods.ready()))
        self.assertRegex(self.pods.sign(self.share), "^[0-9a-f]{128}$")

    def test_4_injected(self):
        policy = '@id("app") permit (principal == Caller::"app", action == Action::"Sign", resource) when { resource.wallet == "example" };'
        enclave = {**self.enclave, "callers": [{"name": "app", "uid": 10001}], "state": {"kind": "emptyDir"},
                   "policies": {"files": [{"name": "app.cedar", "text": policy}]},
                   # With custody beside it, the role of the store that was set up is the one that writes.
                   "vault": {**self.enclave["vault"], "storeRole": "countersign-staging-store"}}
        helm("install", "wallets", "countersign-injector", "kube-system", {"namespaces": ["staging"], "enclave": enclave})
        self.addCleanup(run, "helm", "uninstall", "wallets", "-n", "kube-system")
        container = {"name": "app", "image": f"countersign@{IMAGE}", "command": ["/countersign"], "stdin": True,
                     "args": ["payload", "decode", "--kind", "message", "--file", "-"],
                     "securityContext": {"runAsUser": 10001, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
                                         "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}}
        labels = {"app.kubernetes.io/instance": "team", "countersign/inject": "wallets"}
        time.sleep(2)
        apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "team", "namespace": "staging"}, "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "team"}},
            "template": {"metadata": {"labels": labels},
                         "spec": {"serviceAccountName": "pay", "terminationGracePeriodSeconds": 30, "containers": [container]}}}})
        self.addCleanup(kubectl, "-n", "staging", "delete", "deploy", "team")
        team = Pods("staging", "team")
        eventually(lambda: self.assertTrue(team.ready()))
        self.assertRegex(team.sign(self.share), "^[0-9a-f]{128}$")


if __name__ == "__main__":
    tests = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
    failed = len(tests.failures) + len(tests.errors)
    print(f"{tests.testsRun - failed} passed, {failed} failed")
    sys.exit(failed > 0)
