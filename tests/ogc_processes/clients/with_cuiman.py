"""What cuiman does with a server, as JSON."""

import json
import sys
import time

from cuiman.api.client import Client
from gavicore.models import ProcessRequest

client = Client(api_url=sys.argv[1])
ASYNC = {"Prefer": "respond-async"}


def run(**inputs):
    return client.execute_process("echo", ProcessRequest(inputs=inputs, response="document"), headers=ASYNC)


job = run(text="teststring", numbers=[1, 2])
while (ended := client.get_job(job.jobID)).status.value in ("accepted", "running"):
    time.sleep(0.05)
results = client.get_job_results(job.jobID)
paused = run(text="teststring", pause=60)
dismissed = client.dismiss_job(paused.jobID)
found = {
    "title": client.get_capabilities().title,
    "conformance": len(client.get_conformance().conformsTo),
    "processes": [each.id for each in client.get_processes().processes],
    "inputs": list(client.get_process("echo").inputs),
    "accepted": job.status.value,
    "ended": [ended.status.value, ended.progress, ended.processID],
    "results": json.loads(results.model_dump_json()),
    "dismissed": dismissed.status.value,
    "jobs": sorted(each.status.value for each in client.get_jobs().jobs),
}
print(json.dumps(found))
