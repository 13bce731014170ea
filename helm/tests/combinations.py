"""combinations.py CHART FILE WORK PROGRAM…: renders each combination of FILE and gives it to each PROGRAM, a line of shell."""

import subprocess
import sys

import yaml

chart, combinations, work, *programs = sys.argv[1:]
for number, combination in enumerate(yaml.safe_load(open(combinations)), 1):
    values = f"{work}/values.yaml"
    with open(values, "w") as file:
        yaml.safe_dump(combination["values"], file)
    base = [] if combination["of"] == "default" else ["-f", f"{chart}/examples/{combination['of']}.yaml"]
    rendered = f"{work}/rendered"
    with open(rendered, "w") as file:
        done = subprocess.run(["helm", "template", "pay", chart, "--namespace", "payments", *base, "-f", values], stdout=file)
    for program in ([] if done.returncode else programs):
        done = subprocess.run(["sh", "-c", program, "sh", rendered])
        if done.returncode:
            break
    if done.returncode:
        sys.exit(f"combination {number}: {combination}")
