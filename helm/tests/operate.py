"""operate.py RENDERED PAGE SERIES WORK: every alert of RENDERED has a section in PAGE and fires in SERIES, and no section is about
another. Renders the values that PAGE has in fences (WORK/page), and writes its objects (WORK/objects): what they mount is rendered, or
is named by the values."""

import re
import subprocess
import sys

import yaml

rendered, page, series, work = sys.argv[1:]
text = open(page).read()
alerts = {
    rule["alert"]
    for each in yaml.safe_load_all(open(rendered)) if each and each["kind"] == "PrometheusRule"
    for group in each["spec"]["groups"] for rule in group["rules"] if "alert" in rule
}
sections = set(re.findall(r"^### (Countersign\w+)$", text, re.M))
fired = {alert for alert in alerts if re.search(rf"alertname(=\"|: ){alert}\b", open(series).read())}
problems = [f"{page} has no section about {alert}" for alert in sorted(alerts - sections)]
problems += [f"{page} has a section about {alert}, which is no alert" for alert in sorted(sections - alerts)]
problems += [f"{series} never has {alert} fire" for alert in sorted(alerts - fired)]
merged, rest = {}, []
for fence in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S):
    for each in yaml.safe_load_all(fence):
        if "kind" in each:
            rest.append(each)
        else:
            merged = {**merged, **each, "enclave": {**merged.get("enclave", {}), **each["enclave"]}}
with open(f"{work}/objects", "w") as file:
    yaml.safe_dump_all(rest, file)
with open(f"{work}/page", "w") as file:
    subprocess.run(["helm", "template", "pay", "countersign", "--namespace", "payments", "--values", "-", "--set", "vaultSetup.enabled=true"],
                   input=yaml.safe_dump(merged), stdout=file, text=True, check=True)
there = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(open(f"{work}/page")) if each}
there.add(("ConfigMap", merged["enclave"]["vault"]["ca"]["configMap"]))
for each in rest:
    for volume in each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"] if each["kind"] == "CronJob" else []:
        mounts = [("ConfigMap", volume.get("configMap", {}).get("name")),
                  ("PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName"))]
        problems += [f"{page} mounts the {kind} {name}, which is not there" for kind, name in mounts if name and (kind, name) not in there]
print("\n".join(problems))
sys.exit(bool(problems) or not alerts)
