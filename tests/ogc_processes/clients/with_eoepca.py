"""What ogc-api-processes-client does with a server, as JSON. Its models are generated from the official schemas, and strict."""

import json
import sys
import time

from ogc_api_processes_client.api_client_wrapper import ApiClientWrapper
from ogc_api_processes_client.configuration import Configuration

client = ApiClientWrapper(configuration=Configuration(host=sys.argv[1]))
ASYNC = {"Prefer": "respond-async", "Content-Type": "application/json"}


def run(**inputs):
    # By reference: its model of a plain text as a result is "exactly one of string and binary", which no text is.
    body = {"inputs": inputs, "outputs": {"text": {"transmissionMode": "reference"}}, "response": "document"}
    return client.execute_simple("echo", body, _headers=ASYNC)


def wait(job):
    while (status := client.get_status(job)).status.value in ("accepted", "running"):
        time.sleep(0.05)
    return status


landing = client.get_landing_page()
job = run(text="teststring", numbers=[1, 2])
ended = wait(job.job_id)
result = client.get_result(job.job_id)
paused = run(text="teststring", pause=60)
dismissed = client.dismiss(paused.job_id)
found = {
    "title": landing.title,
    "links": len(landing.links),
    "conformance": len(client.get_conformance_classes().conforms_to),
    "processes": [each.id for each in client.get_processes().processes],
    "inputs": list(client.get_process_description("echo").inputs),
    "accepted": job.status.value,
    "ended": [ended.status.value, ended.progress, ended.process_id],
    "result": {name: value.to_dict() if hasattr(value, "to_dict") else value for name, value in result.items()},
    "dismissed": dismissed.status.value,
    "jobs": {each.job_id: each.status.value for each in client.get_jobs().jobs},
}
found["jobs"] = sorted(found["jobs"].values())
print(json.dumps(found, default=str))
