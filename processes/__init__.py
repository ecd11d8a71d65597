"""OGC API - Processes: geoprocesses that remote workers offer over WebSocket, and the jobs that clients run."""
