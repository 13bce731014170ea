"""operate.py RENDERED PAGE SERIES VALUES OBJECTS: every alert of RENDERED has a section in PAGE and fires in SERIES, and no section is
about another. Writes the values and the objects that PAGE has in fences, for who renders and validates them."""

import re
import sys

import yaml

rendered, page, series, values, objects = sys.argv[1:]
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
print("\n".join(problems))

merged, rest = {}, []
for fence in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S):
    for each in yaml.safe_load_all(fence):
        if "kind" in each:
            rest.append(each)
        else:
            merged = {**merged, **each, "enclave": {**merged.get("enclave", {}), **each["enclave"]}}
with open(values, "w") as file:
    yaml.safe_dump(merged, file)
with open(objects, "w") as file:
    yaml.safe_dump_all(rest, file)
sys.exit(bool(problems) or not alerts)
