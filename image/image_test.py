"""image_test.py ARCHIVE ROOT: what an image is, that its SBOM is true, and that its program runs where there is nothing else.

ROOT is the image's, unpacked. Needs root, and the sources that the image was built from.
"""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest
import zlib

ARCHIVE, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
SOURCE = pathlib.Path(__file__).parent.parent
USER = 65532
LICENCES = ["LGPL-2.1.txt", "LICENSE", "crates.txt", "glibc.txt", "libgcc.txt", "rust-std.html"]


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Image(unittest.TestCase):
    def setUp(self):
        with tarfile.open(ARCHIVE) as archive:
            def blob(described):
                return json.load(archive.extractfile(f"blobs/sha256/{described['digest'].split(':')[1]}"))
            (self.described,) = json.load(archive.extractfile("index.json"))["manifests"]
            self.manifest = blob(self.described)
            self.config = blob(self.manifest["config"])

    def test_it_runs_the_program_as_nobody_in_particular(self):
        self.assertEqual(self.config["config"]["User"], f"{USER}:{USER}")
        self.assertEqual(self.config["config"]["Entrypoint"], ["/countersign"])
        self.assertEqual(self.described["platform"], {"architecture": self.config["architecture"], "os": "linux"})

    def test_it_says_what_it_is(self):
        labels = self.config["config"]["Labels"]
        title = "org.opencontainers.image."
        self.assertEqual(labels[f"{title}title"], "countersign")
        self.assertEqual(labels[f"{title}version"], tomllib.loads((SOURCE / "Cargo.toml").read_text())["package"]["version"])
        self.assertRegex(labels[f"{title}revision"], "^[0-9a-f]{40}(-modified)?$")
        self.assertEqual(labels[f"{title}created"], self.config["created"])
        self.assertRegex(labels["countersign.toolchain"], r"^rustc \S+ .*; cc .*; libc6-dev \S+; zlib \S+$")
        self.assertEqual(labels, self.manifest["annotations"])

    def test_nothing_else_is_in_it_and_root_owns_it(self):
        found = {}
        for path in ROOT.rglob("*"):
            at = path.lstat()
            found[str(path.relative_to(ROOT))] = stat.S_IMODE(at.st_mode)
            self.assertEqual((at.st_uid, at.st_gid), (0, 0), path)
            self.assertEqual(at.st_mtime, int(run("git", "-C", SOURCE, "log", "-1", "--format=%ct")), path)
        licences = {f"licences/{name}": 0o644 for name in LICENCES}
        self.assertEqual(found, {"countersign": 0o755, "licences": 0o755, "tmp": 0o1777, **licences})

    def test_every_crate_has_a_licence(self):
        texts = (ROOT / "licences/crates.txt").read_text()
        for name, version in crates():
            if name != "countersign":
                self.assertIn(f"\n{name} {version} (", f"\n{texts}")

    def test_the_checksums_are_right(self):
        run("sha256sum", "--check", "--strict", ARCHIVE.with_suffix(".sha256").name, cwd=ARCHIVE.parent)


def crates():
    """What the sources say is compiled for the program, by name and version."""
    tree = run("cargo", "tree", "--locked", "--offline", "--edges", "normal,no-proc-macro", "--target", triple(), "--prefix", "none",
               "--no-dedupe", cwd=SOURCE)
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, tree.splitlines())}


def triple():
    return f"{os.uname().machine}-unknown-linux-gnu"


class Sbom(unittest.TestCase):
    def setUp(self):
        self.sbom = json.loads(ARCHIVE.with_suffix(".cdx.json").read_text())
        self.components = self.sbom["components"]

    def of(self, kind):
        return {(each["name"], each["version"]) for each in self.components if each["purl"].startswith(f"pkg:{kind}/")}

    def test_it_is_of_this_program(self):
        (hash,) = self.sbom["metadata"]["component"]["hashes"]
        self.assertEqual(hash["content"], run("sha256sum", ROOT / "countersign").split()[0])

    def test_it_has_the_crates_of_the_sources_and_no_others(self):
        self.assertEqual(self.of("cargo") | {("countersign", self.sbom["metadata"]["component"]["version"])}, crates())

    def test_the_program_names_them_too(self):
        """Its own section has more: crates of features that are off, and what only builds."""
        with tempfile.TemporaryDirectory() as directory:
            section = pathlib.Path(directory) / "section"
            run("objcopy", "-O", "binary", "--only-section=.dep-v0", "--set-section-flags", ".dep-v0=alloc", ROOT / "countersign", section)
            packages = json.loads(zlib.decompress(section.read_bytes()))["packages"]
        named = {(each["name"], each["version"]) for each in packages if each.get("kind", "runtime") == "runtime"}
        self.assertLessEqual(crates(), named)
        lock = tomllib.loads((SOURCE / "Cargo.lock").read_text())["package"]
        self.assertLessEqual(named, {(each["name"], each["version"]) for each in lock})

    def test_it_has_what_is_no_crate(self):
        self.assertEqual({name for name, _ in self.of("generic")}, {"rust-std", "sqlite"})
        self.assertEqual({name.rstrip("0123456789-").removesuffix("-dev") for name, _ in self.of("deb")}, {"libc6", "libgcc-12"})
        program = (ROOT / "countersign").read_bytes()
        (sqlite,) = [version for name, version in self.of("generic") if name == "sqlite"]
        self.assertIn(sqlite.encode(), program)
        (glibc,) = [version for name, version in self.of("deb") if name == "libc6-dev"]
        self.assertIn(f"(Debian GLIBC {glibc})".encode(), program)

    def test_every_component_has_a_licence_and_is_reached(self):
        self.assertEqual([each["name"] for each in self.components if not each["licenses"][0]["expression"]], [])
        reached = {on for each in self.sbom["dependencies"] for on in each["dependsOn"]}
        self.assertEqual(reached, {each["bom-ref"] for each in self.components})


class Program(unittest.TestCase):
    """In a root with nothing but the image: no /proc, no /dev, no /etc."""

    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.root.chmod(0o755)
        shutil.copytree(ROOT, self.root, dirs_exist_ok=True)

    def countersign(self, *arguments):
        return run(shutil.which("chroot"), f"--userspec={USER}:{USER}", self.root, "/countersign", *arguments, env={})

    def test_the_demo(self):
        report = json.loads(self.countersign("demo", "--json"))
        self.assertTrue(report)
        self.assertEqual(list((self.root / "tmp").iterdir()), [])

    def test_a_configuration(self):
        self.countersign("demo", "--dir", "/tmp/demo")
        self.assertIn("secret memory", self.countersign("check", "--config", "/tmp/demo/countersign.toml"))

    def test_its_version(self):
        version = tomllib.loads((SOURCE / "Cargo.toml").read_text())["package"]["version"]
        self.assertEqual(self.countersign("--version"), f"countersign {version}\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
