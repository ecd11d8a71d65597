"""Tests of descriptions of processes."""
