"""alerts.py RENDERED: the rules of the rendered PrometheusRule, as promtool reads them."""

import sys

import yaml

for each in yaml.safe_load_all(open(sys.argv[1])):
    if each and each["kind"] == "PrometheusRule":
        print(yaml.safe_dump(each["spec"], sort_keys=False))
