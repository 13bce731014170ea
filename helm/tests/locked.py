"""locked.py COUNTERSIGN CHART WORK: the chart takes `memory.lockableKib` of exactly what `countersign check` says, and no less."""

import re
import subprocess
import sys

program, chart, work = sys.argv[1:]
CASES = {
    "default": ["enclave.runtime.workers=1", "enclave.runtime.workers=3", "enclave.limits.inFlight=100,enclave.runtime.workers=2"],
    "production": ["enclave.runtime.workers=1", "enclave.runtime.workers=8,enclave.limits.streams=1"],
}


def render(base, settings):
    values = [] if base == "default" else ["-f", f"{chart}/examples/{base}.yaml"]
    return subprocess.run(["helm", "template", "pay", chart, *values, "--set", settings], capture_output=True, text=True)


for base, cases in CASES.items():
    for settings in cases:
        with open(f"{work}/rendered", "w") as file:
            file.write(render(base, settings).stdout)
        said = subprocess.run([sys.executable, f"{sys.path[0]}/accepted.py", program, f"{work}/rendered"],
                              capture_output=True, text=True).stdout
        needed = int(re.search(r"(\d+) KiB to be locked", said)[1])
        taken = render(base, f"{settings},enclave.memory.lockableKib={needed}")
        refused = render(base, f"{settings},enclave.memory.lockableKib={needed - 1}")
        if taken.returncode or not refused.returncode:
            sys.exit(f"{base}, {settings}: the program locks {needed} KiB\n{taken.stderr}{refused.stderr}")
