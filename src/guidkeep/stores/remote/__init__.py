"""The common part of the stores on database servers: failures, connections, start, calls."""
