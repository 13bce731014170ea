"""metrics.py COUNTERSIGN RENDERED: fails for every metric that an alert or a panel names and the program does not have.

The program is started with the rendered configuration, is called, and is given a policy more, since a metric without a
value is not listed; then its own list of metrics is read. Those of the TLS listener are
there only where one is configured; their names are read from the source."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

SUFFIXES = {"counter": ["_total"], "gauge": [""], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"]}
TLS = pathlib.Path(__file__).parents[2] / "src/telemetry/metrics/tls.rs"
PORT = 19464

program, rendered = sys.argv[1:]
objects = [each for each in yaml.safe_load_all(open(rendered)) if each]
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
        config.write_text(re.sub(r"0\.0\.0\.0:\d+", f"127.0.0.1:{PORT}", text))
        server = subprocess.Popen([program, "serve", "--config", config], stderr=subprocess.DEVNULL)
        try:
            wait(lambda: (root / "run/countersign/enclave.sock").exists() and exposed())
            # Nobody that the configuration knows: refused, and counted.
            call = ["share", "list", "--socket", root / "run/countersign-custody/custody.sock"]
            subprocess.run([program, *call], capture_output=True)
            (root / "etc/countersign/policies/more.cedar").write_text('@id("more") forbid (principal, action, resource);')
            return wait(lambda: "countersign_policy_reloads_total" in (text := exposed()) and text)
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
    types.update({f"countersign_{each}": "gauge" for each in re.findall(r'"(tls_(?!handshakes)\w+)"', TLS.read_text())})
    types["countersign_tls_handshakes_failed"] = "counter"
    return {family + suffix for family, kind in types.items() for suffix in SUFFIXES[kind]}


def expressions():
    for each in objects:
        if each["kind"] == "PrometheusRule":
            for group in each["spec"]["groups"]:
                yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])
    for data in maps.values():
        for file, text in data.items():
            if file.endswith(".json"):
                for panel in json.loads(text)["panels"]:
                    yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


names, unknown, used = there(), [], set()
for where, expression in expressions():
    for metric in re.findall(r"\bcountersign_\w+", expression):
        used.add(metric)
        if metric not in names:
            unknown.append(f"{where}: {metric}")
print("\n".join(unknown))
sys.exit(bool(unknown) or not used)
