"""The libraries that are compared: those of ``python -m fastnorm bench``, and JAX if it is installed."""

from __future__ import annotations

import importlib.util

from fastnorm.cli import peers
from fastnorm.cli.peers import Candidate, Peer

__all__ = ["Candidate", "Peer", "available", "named"]


def available() -> list[Peer]:
    """Return the libraries that are installed, fastnorm first."""
    found = peers.available()
    if importlib.util.find_spec("jax"):
        from peer_jax import Jax

        found.append(Jax())
    return found


def named(names: list[str] | None) -> list[Peer]:
    """Return those of the given names, all if there are none."""
    found = available()
    unknown = set(names or ()) - {peer.name for peer in found}
    if unknown:
        raise SystemExit(f"not installed: {', '.join(sorted(unknown))}; there are {[peer.name for peer in found]}")
    return [peer for peer in found if not names or peer.name in names]
