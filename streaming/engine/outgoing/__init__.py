"""Requests to addresses that others name (links of inputs, callbacks, webhooks). They reach what is public, and nothing else."""

from .addresses import AddressRefused, AddressRules
from .client import Answer, RequestFailed, send

__all__ = ["AddressRefused", "AddressRules", "Answer", "RequestFailed", "send"]
