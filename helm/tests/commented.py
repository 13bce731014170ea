"""commented.py VALUES: fails for every value without a comment (`# -- …`) above it.

A value is a key of a map that has no map below it, or an empty one. What stands in a list belongs to the list, and so do
maps in braces."""

import re
import sys

KEY = re.compile(r"^( *)([\w.-]+):(.*)$")

lines = open(sys.argv[1]).read().splitlines()
bare, comment, skip = [], False, None
for number, line in enumerate(lines, 1):
    stripped = line.strip()
    indent = len(line) - len(line.lstrip())
    if not stripped:
        comment = False
        continue
    if stripped.startswith("#"):
        comment = comment or stripped.startswith("# --")
        continue
    if skip is not None and (indent > skip or stripped.startswith("- ")):
        continue
    skip = None
    key = KEY.match(line)
    if not key:
        continue
    following = next((after for after in lines[number:] if after.strip() and not after.strip().startswith("#")), "")
    deeper = len(following) - len(following.lstrip()) > indent
    is_map = not key[3].strip() and deeper and not following.strip().startswith("- ")
    if comment:
        skip = indent
    elif not is_map:
        bare.append(f"{sys.argv[1]}:{number}: {key[2]} has no comment")
    comment = False
print("\n".join(bare))
sys.exit(bool(bare))
