"""Callbacks: requests to the addresses that the subscriber of a job gave, from an outbox in the database."""
