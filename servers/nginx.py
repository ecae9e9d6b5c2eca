"""nginx as a balancer before nodes of Guidkeep."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from servers.processes import Running, program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PACKAGE = "nginx-light"
_UNREACHABLE = (
    '{"type": "about:blank", "title": "Bad Gateway", "status": 502, "detail": "No node answered. '
    'What became of a write is unknown; a read may be asked again."}'
)
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
        keepalive_timeout 60s;  # less than a node's --idle-timeout: nginx hangs up first
    }
    server {
        listen 127.0.0.1:%(port)d;
        client_max_body_size 0;  # the nodes know what is too large, and say so
        location / {
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_connect_timeout 1s;
            proxy_read_timeout 30s;
            # To the next node if this one can't be reached. What was sent already goes to another
            # only if doing it twice is doing it once (RFC 9110, 9.2.2): never POST and PATCH.
            proxy_next_upstream error timeout;
            error_page 502 504 @unreachable;
        }
        location @unreachable {
            internal;
            default_type application/problem+json;
            add_header Retry-After 1 always;
            return 502 '%(unreachable)s';
        }
    }
}
"""


def start(folder: Path, port: int, nodes: Sequence[int]) -> Running:
    """Starts a balancer on 127.0.0.1.

    Args:
        folder: where its files and its log go; exists.
        port: where it listens.
        nodes: ports of 127.0.0.1 that it hands requests to.

    Raises:
        Missing: it is not installed.
    """
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION
        % {
            "user": "user root;" if os.geteuid() == 0 else "",  # so that it may enter the folder
            "temporary": " ".join(f"{path}_temp_path {path};" for path in paths),
            "nodes": " ".join(
                f"server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;" for node in nodes
            ),
            "port": port,
            "unreachable": _UNREACHABLE,
        }
    )
    command = [program("nginx", package=PACKAGE), "-p", str(folder), "-e", "stderr"]
    return Running([*command, "-c", str(configuration)], folder=folder)
