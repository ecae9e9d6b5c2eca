"""nginx as a balancer in front of Guidkeep nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from servers import PACKAGE_OF
from servers.processes import Running, program

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = PACKAGE_OF["nginx"]
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""Names of its folders for temporary files."""
SHARED = Path(__file__).with_name("guidkeep.conf")
"""The content of its `server { }`, here and in compose.yaml."""
_CONFIGURATION = """
%(user)s
worker_processes 1; daemon off; pid nginx.pid; error_log stderr crit;
worker_shutdown_timeout 10s;
events { worker_connections 4096; }
http {
    access_log off;
    %(temporary)s
    upstream nodes {
        %(nodes)s
        keepalive 64;
        keepalive_timeout 60s;  # less than a node's --idle-timeout: nginx closes first
    }
    server {
        listen 127.0.0.1:%(port)d;
        include "%(shared)s";
    }
}
"""


def start(folder: Path, port: int, nodes: Sequence[int]) -> Running:
    """Starts a balancer on 127.0.0.1.

    Args:
        folder: for its files and its log; exists.
        port: the port it listens on.
        nodes: ports of 127.0.0.1 that it passes requests to.

    Raises:
        Missing: it is not installed.
    """
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION
        % {
            "user": "user root;" if os.geteuid() == 0 else "",  # so that it may enter the folder
            "temporary": " ".join(f"{path}_temp_path {path};" for path in TEMPORARY),
            "nodes": " ".join(
                f"server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;" for node in nodes
            ),
            "port": port,
            "shared": SHARED,
        }
    )
    command = [program("nginx", package=PACKAGE), "-p", str(folder), "-e", "stderr"]
    return Running([*command, "-c", str(configuration)], folder=folder)
