"""alerts.py RENDERED [panels]: the rules of the rendered PrometheusRule, as promtool reads them; or what the dashboard's panels ask,
as if it were rules."""

import json
import sys

import yaml

for each in yaml.safe_load_all(open(sys.argv[1])):
    if each and each["kind"] == "PrometheusRule" and len(sys.argv) == 2:
        print(yaml.safe_dump(each["spec"], sort_keys=False))
    if each and each["kind"] == "ConfigMap" and "countersign.json" in each["data"] and len(sys.argv) == 3:
        panels = json.loads(each["data"]["countersign.json"])["panels"]
        panels += [panel for row in panels for panel in row.get("panels", [])]
        asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel.get("targets", [])]
        rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
        print(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
