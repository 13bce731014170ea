"""dns_test.py PROGRAM: names, as a pod's resolv.conf and hosts have them resolved, by a static program in a root without anything else.

It has Vault and Postgres reached over TLS by names of services, before the program confines itself and after. Everything is in a
network of its own, whose resolver this is. Needs: root, openssl, Postgres, and a Vault ($VAULT_BIN).
"""

import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

RESOLVER, VAULT, POSTGRES = "10.96.0.10", "10.96.0.20", "10.96.0.30"
# As the kubelet writes it for a pod of the namespace `payments`.
RESOLV_CONF = f"""search payments.svc.cluster.local svc.cluster.local cluster.local
nameserver {RESOLVER}
options ndots:5
"""
HOSTS = f"127.0.0.1 localhost\n{VAULT} vault.aliased\n"
USER = 65532
POLICY = """@id("app-may-do-everything")
permit (principal == Caller::"app", action, resource);
"""
CONFIG = """environment = "test"
[listen]
enclave = "/run/enclave.sock"
custody = "/run/custody.sock"
[[caller]]
name = "app"
uid = 65532
[policy]
directory = "/etc/countersign/policies"
[audit]
directory = "/var/audit"
[store]
kind = "postgres"
host = "db.data"
database = "countersign"
user = "countersign"
password_file = "/etc/countersign/password"
ca_file = "/etc/countersign/ca.pem"
[kms]
kind = "vault-transit"
[vault]
addresses = ["https://@VAULT@:8200"]
ca_file = "/etc/countersign/ca.pem"
[vault.signer]
method = "token-file"
token_file = "/etc/countersign/signer"
[vault.custodian]
method = "token-file"
token_file = "/etc/countersign/custodian"
"""


class Resolver(threading.Thread):
    """Answers A with what `names` has and AAAA with nothing; other names do not exist. `asked` is what it was asked."""

    def __init__(self):
        super().__init__(daemon=True)
        self.names, self.asked = {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((RESOLVER, 53))

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, question = int.from_bytes(query[at + 1:at + 3], "big"), query[12:at + 5]
        name = ".".join(labels)
        self.asked.append(name)
        address = self.names.get(name)
        records = b""
        if address and kind == 1:
            records = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(address)
        code = 0 if address else 3
        counts = b"\x00\x01" + (b"\x00\x01" if records else b"\x00\x00") + b"\x00\x00\x00\x00"
        return query[:2] + (0x8580 | code).to_bytes(2, "big") + counts + question + records


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def start(log, *command, **options):
    with open(log, "w") as file:
        return subprocess.Popen([*map(str, command)], stdout=file, stderr=subprocess.STDOUT, **options)


def eventually(attempt, seconds=30):
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for address in RESOLVER, VAULT, POSTGRES:
            run("ip", "address", "add", address, "dev", "lo")
        run("ip", "link", "set", "lo", "up")
        cls.resolver = Resolver()
        cls.resolver.start()
        cls.work = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.work.chmod(0o755)
        cls.certificates()
        cls.vault()
        cls.postgres()
        cls.image()

    @classmethod
    def certificates(cls):
        def openssl(*arguments):
            run("openssl", *arguments, cwd=cls.work)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", *key, "-keyout", "server.key", "-out", "request", "-subj", "/CN=server")
        names = "DNS:vault.vault.svc,DNS:vault.aliased,DNS:db.data"
        (cls.work / "extensions").write_text(f"basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n")
        openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "extensions",
                "-out", "server.crt")

    @classmethod
    def vault(cls):
        (cls.work / "vault.hcl").write_text(f'''listener "tcp" {{
  address = "{VAULT}:8200"
  tls_cert_file = "{cls.work}/server.crt"
  tls_key_file = "{cls.work}/server.key"
}}
''')
        # `-dev` keeps everything in memory; its own listener is another.
        binary = os.environ["VAULT_BIN"]
        server = start(cls.work / "vault.log", binary, "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token",
                       f"-config={cls.work}/vault.hcl", env={**os.environ, "HOME": str(cls.work)})
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)

        def vault(*arguments, **options):
            settings = {"VAULT_ADDR": "http://127.0.0.1:8200", "VAULT_TOKEN": "root", "HOME": str(cls.work)}
            return run(binary, *arguments, env={**os.environ, **settings}, **options)
        eventually(lambda: vault("status"))
        vault("secrets", "enable", "transit")
        vault("write", "transit/config/keys", "disable_upsert=true")
        vault("write", "transit/keys/countersign-test", "type=aes256-gcm96", "derived=true", "auto_rotate_period=2160h")
        for role in "signer", "custodian":
            policy = run(PROGRAM, "vault", "policy", "--role", role, "--environment", "test")
            vault("policy", "write", role, "-", input=policy)
            token = vault("token", "create", f"-policy={role}", "-no-default-policy", "-field=token")
            (cls.work / role).write_text(token)

    @classmethod
    def postgres(cls):
        directory = cls.work / "postgres"
        directory.mkdir()
        shutil.chown(directory, "postgres", "postgres")
        for file in "server.key", "server.crt":
            shutil.copy(cls.work / file, directory)
            shutil.chown(directory / file, "postgres", "postgres")
        programs = os.environ.get("POSTGRES_BIN_DIR") or max(glob.glob("/usr/lib/postgresql/*/bin"))
        (cls.work / "password").write_text("of a test")
        who = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": directory}
        run(f"{programs}/initdb", "-D", directory / "data", "-U", "countersign", "--auth=scram-sha-256", f"--pwfile={cls.work}/password",
            "--no-sync", **who)
        with open(directory / "data/pg_hba.conf", "a") as file:
            file.write("hostssl all all all scram-sha-256\n")
        server = start(cls.work / "postgres.log", f"{programs}/postgres", "-D", directory / "data", "-h", POSTGRES, "-k", directory,
                       "-c", "ssl=on", "-c", f"ssl_cert_file={directory}/server.crt", "-c", f"ssl_key_file={directory}/server.key", **who)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.terminate)
        eventually(lambda: run(f"{programs}/createdb", "-h", directory, "-U", "countersign", "countersign",
                               env={**os.environ, "PGPASSWORD": "of a test"}))

    @classmethod
    def image(cls):
        """What a pod has: the image's root, a kubelet's files, volumes and /proc."""
        cls.root = cls.work / "root"
        for directory in "etc/countersign/policies", "proc", "run", "var/audit":
            (cls.root / directory).mkdir(parents=True)
        shutil.copy(PROGRAM, cls.root / "countersign")
        (cls.root / "etc/resolv.conf").write_text(RESOLV_CONF)
        (cls.root / "etc/hosts").write_text(HOSTS)
        settings = cls.root / "etc/countersign"
        (settings / "policies/test.cedar").write_text(POLICY)
        for name, vault in ("service", "vault.vault.svc"), ("aliased", "vault.aliased"), ("nowhere", "vault.nowhere"):
            (settings / f"{name}.toml").write_text(CONFIG.replace("@VAULT@", vault))
        for file in "ca.pem", "signer", "custodian", "password":
            shutil.copy(cls.work / file, settings)
        for path in "run", "var/audit":
            os.chown(cls.root / path, USER, USER)
        for path in settings.rglob("*"):
            os.chown(path, USER, USER)
        for file in "signer", "custodian", "password":
            (settings / file).chmod(0o400)
        run("mount", "-t", "proc", "proc", cls.root / "proc")
        cls.addClassCleanup(run, "umount", cls.root / "proc")

    def setUp(self):
        self.resolver.names = {"vault.vault.svc.cluster.local": VAULT, "db.data.svc.cluster.local": POSTGRES}
        self.resolver.asked.clear()

    def command(self, *arguments):
        return [shutil.which("chroot"), f"--userspec={USER}:{USER}", str(self.root), "/countersign", *arguments]

    def countersign(self, *arguments):
        return run(*self.command(*arguments), env={})

    def test_services_are_found_through_the_search_domains(self):
        self.countersign("check", "--online", "--config", "/etc/countersign/service.toml")
        for name in "vault.vault.svc.payments.svc.cluster.local", "vault.vault.svc.cluster.local", "db.data.svc.cluster.local":
            self.assertIn(name, self.resolver.asked)

    def test_a_name_of_the_hosts_file_is_found_though_no_nsswitch_says_so(self):
        self.countersign("check", "--online", "--config", "/etc/countersign/aliased.toml")
        self.assertEqual([name for name in self.resolver.asked if name.startswith("vault.aliased")], [])

    def test_a_name_that_nobody_has_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "kms: Unreachable"):
            self.countersign("check", "--online", "--config", "/etc/countersign/nowhere.toml")
        self.assertIn("vault.nowhere", self.resolver.asked)

    def test_who_is_confined_finds_a_name_that_comes_later(self):
        """From the start on Vault has no name, so that it is looked up by who has confined himself."""
        self.countersign("check", "--online", "--config", "/etc/countersign/service.toml")
        vault = self.resolver.names.pop("vault.vault.svc.cluster.local")
        log = self.work / "served.log"
        served = start(log, *self.command("serve", "--config", "/etc/countersign/service.toml"), env={})
        self.addCleanup(served.wait)
        self.addCleanup(served.terminate)
        eventually(lambda: self.assertIn('"Listening"', log.read_text()))
        health = ["health", "--socket", "/run/enclave.sock"]
        with self.assertRaises(AssertionError):
            self.countersign(*health)
        self.resolver.names["vault.vault.svc.cluster.local"] = vault
        eventually(lambda: self.countersign(*health))
        made = self.countersign("share", "generate", "--socket", "/run/custody.sock", "--wallet-id", "wallet", "--algorithm", "ed25519",
                                "--json")
        share = json.loads(made)["share_id"]
        self.countersign("sign", "--socket", "/run/enclave.sock", "--share-id", share, "--wallet-id", "wallet", "--message", "hello")
        self.assertIsNone(served.poll(), log.read_text())
        self.assertNotIn("allow-list", log.read_text())


if __name__ == "__main__":
    if os.environ.get("INSIDE") != "1":
        os.execvpe("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, *sys.argv],
                   {**os.environ, "INSIDE": "1"})
    PROGRAM = os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=2)
