"""Tests of the commands of processes."""
