"""The worker protocol on `/ws/processes`: workers connect, offer processes, and are given jobs."""
