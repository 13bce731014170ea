"""own_chart.py README DIRECTORY: writes the chart that README shows, each block of YAML that begins with the path of a file."""

import pathlib
import re
import sys

readme, directory = sys.argv[1:]
for path, text in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", pathlib.Path(readme).read_text(), re.M | re.S):
    file = pathlib.Path(directory, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
