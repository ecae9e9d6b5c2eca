"""Real proxies in front of a service."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from servers.processes import Missing, Running, free_port, listens, program
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMPRESSING = """
worker_processes 1; daemon off; pid nginx.pid; error_log stderr crit; %s
events { }
http {
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d;
    scgi_temp_path e;
    proxy_pass_header Date;  # the service's own, by its clock
    gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
    server { listen 127.0.0.1:%d; location / { proxy_pass %s; proxy_http_version 1.1; } }
}
"""


@contextmanager
def compressed(folder: Path, address: str) -> Iterator[str]:
    """Starts an nginx that compresses in front of `address`; yields its URL. Skips without it."""
    port = free_port()
    text = _COMPRESSING % ("user root;" if os.geteuid() == 0 else "", port, address)
    (folder / "conf").write_text(text)
    with ExitStack() as opened:
        try:
            command = [program("nginx", package="nginx"), "-p", str(folder), "-e", "stderr"]
        except Missing as missing:
            lack(missing)
        process = opened.enter_context(Running([*command, "-c", "conf"], folder=folder))
        process.wait_for(lambda: listens(port), "listens")
        yield f"http://127.0.0.1:{port}"
