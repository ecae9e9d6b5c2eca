"""What the stores on database servers share: failures, connections, the start, the calls."""
