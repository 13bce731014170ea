"""Holds examples/clients/python/import_share.py against tests/vectors/import.json: what it
believes of a statement, and what it writes as info.

    import_vectors.py DIRECTORY VECTORS
"""

import datetime
import json
import sys


def main(directory, vectors):
    sys.path.insert(0, directory)
    import import_share

    with open(vectors, encoding="utf-8") as file:
        document = json.load(file)
    for vector in document["statements"]:
        now = datetime.datetime.strptime(vector["now"], "%Y-%m-%dT%H:%M:%SZ")
        now = now.replace(tzinfo=datetime.timezone.utc)
        try:
            environment, key = import_share.believe(vector["note"], import_share.trusted_key(vector["trust"]), now)
        except import_share.Refused as refused:
            assert "refused" in vector, f"{vector['name']}: {refused}"
        else:
            assert "refused" not in vector, f"{vector['name']} is believed"
            assert (environment, key.hex()) == (vector["environment"], vector["key"])

    by_name = {vector["name"]: vector for vector in document["positive"]}
    sealed = document["positive"] + document["negative"]
    for vector in sealed:
        whole = by_name.get(vector.get("base"), {}) | vector
        assert import_share.info(whole["fields"]) == whole["info"], whole["name"]
    print(f"{len(document['statements'])} statements, {len(sealed)} infos")


if __name__ == "__main__":
    main(*sys.argv[1:])
