"""OGC API - Processes over HTTP: what clients see of processes and jobs."""
