"""What OWSLib does with a server, as JSON. Run in an environment of its own."""

import json
import sys

from owslib.ogcapi.processes import Processes

site = Processes(sys.argv[1])
conformance = site.conformance()["conformsTo"]
document = site.execute("echo", inputs={"text": "teststring", "numbers": [1, 2]})
raw = site.execute("echo", inputs={"text": "teststring"}, outputs={"text": {"transmissionMode": "value"}}, response="document")
job = site.execute("echo", inputs={"text": "teststring"}, async_=True)
location = site.response_headers.get("Location")
found = {
    "core": any(each.endswith("processes-1/1.0/conf/core") for each in conformance),
    "paths": list(site.api()["paths"]),
    "processes": [each["id"] for each in site.processes()],
    "inputs": list(site.process("echo")["inputs"]),
    "document": document,
    "raw": raw,
    "job": job,
    "location": location,
}
print(json.dumps(found))
