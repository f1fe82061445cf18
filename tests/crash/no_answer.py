"""What a client meets while Temporal is dead or comes back."""

from temporalio.service import RPCError

NO_ANSWER = (RPCError, RuntimeError)
"""The second while it connects: so the SDK's core says that this failed."""
