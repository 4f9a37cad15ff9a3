"""Campaigns against real servers: killed, cut off, flooded, lied to. What they found is in docs/reliability.md."""
