"""Tests of the Python SDK for workers."""
