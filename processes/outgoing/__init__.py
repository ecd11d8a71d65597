"""Requests to addresses that clients name: what links of inputs lead to, and callbacks. They reach what is public, and nothing else."""

from .addresses import AddressRefused, AddressRules
from .client import Answer, RequestFailed, send

__all__ = ["AddressRefused", "AddressRules", "Answer", "RequestFailed", "send"]
