"""metrics.py COUNTERSIGN RENDERED MORE: fails for every metric that an alert or a panel of either file names and the program does not have.

The program is started with the configuration of RENDERED, is called, and is given a policy more, since a metric without a
value is not listed; then its own list of metrics is read. Those of the TLS listener and of the logins at Vault are
there only where such are configured; their names are read from the source."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

SUFFIXES = {"counter": ["_total"], "gauge": [""], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"]}
SOURCE = pathlib.Path(__file__).parents[2] / "src/telemetry/metrics"
PORT = 19464

program, *rendered = sys.argv[1:]
objects, more = ([each for each in yaml.safe_load_all(open(file)) if each] for file in rendered)
maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
name = next(name for name, data in maps.items() if "countersign.toml" in data)


def listed():
    """What the running program lists."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for path in ("etc/countersign/policies", "run/countersign", "run/countersign-custody", "var/lib/countersign"):
            (root / path).mkdir(parents=True)
        for file, policy in maps[f"{name}-policies"].items():
            (root / "etc/countersign/policies" / file).write_text(policy)
        text = re.sub(r'"/(etc|run|var)/', rf'"{root}/\1/', maps[name]["countersign.toml"])
        config = root / "etc/countersign/countersign.toml"
        text = re.sub(r"0\.0\.0\.0:\d+", f"127.0.0.1:{PORT}", text)
        # This user is the developer.
        config.write_text(text.replace("uid = 64035", f"uid = {os.getuid()}"))
        server = subprocess.Popen([program, "serve", "--config", config], stderr=subprocess.DEVNULL)
        try:
            wait(lambda: (root / "run/countersign/enclave.sock").exists() and exposed())
            # Policy decides the one, the other is refused before.
            subprocess.run([program, "share", "list", "--socket", root / "run/countersign-custody/custody.sock"], capture_output=True)
            subprocess.run([program, "sign", "--socket", root / "run/countersign/enclave.sock", "--share-id",
                            "7c9e6679-7425-40de-944b-e07fc1f90ae7", "--wallet-id", "", "--message", "hello"], capture_output=True)
            (root / "etc/countersign/policies/more.cedar").write_text('@id("more") forbid (principal, action, resource);')
            late = ["countersign_policy_reloads_total", "countersign_outcomes_total", "countersign_refusals_total"]
            return wait(lambda: all(each in (text := exposed()) for each in late) and text)
        finally:
            server.terminate()
            server.wait(30)


def exposed():
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5).read().decode()
    except OSError:
        return ""


def wait(condition):
    for _ in range(200):
        if found := condition():
            return found
        time.sleep(0.1)
    sys.exit("the program does not come to it")


def there():
    """Every name that a sample of the running program can have."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", listed(), re.M))
    types.update({f"countersign_{each}": "gauge" for each in re.findall(r'"(tls_(?!handshakes)\w+)"', (SOURCE / "tls.rs").read_text())})
    types["countersign_tls_handshakes_failed"] = "counter"
    types.update({f"countersign_{each}": "gauge" for each in re.findall(r'"(kms_login\w+)"', (SOURCE / "backends.rs").read_text())})
    return {family + suffix for family, kind in types.items() for suffix in SUFFIXES[kind]}


def expressions():
    for each in objects + more:
        if each["kind"] == "PrometheusRule":
            for group in each["spec"]["groups"]:
                yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in group["rules"])
    for data in maps.values():
        for file, text in data.items():
            if file.endswith(".json"):
                panels = json.loads(text)["panels"]
                for panel in panels + [panel for row in panels for panel in row.get("panels", [])]:
                    yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


names, unknown, used = there(), [], set()
for where, expression in expressions():
    for metric in re.findall(r"\bcountersign_\w+", expression):
        used.add(metric)
        if metric not in names:
            unknown.append(f"{where}: {metric}")
print("\n".join(unknown))
sys.exit(bool(unknown) or not used)
