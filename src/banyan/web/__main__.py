"""`python -m banyan.web`: the pages as a process of their own, beside a running service."""

import argparse
import os
import sys
from pathlib import Path

from banyan.errors import MissingExtraError

LOCAL = "127.0.0.1"
SLOW = 600.0  # seconds that the console waits: a version is tried, a bundle is copied


def main() -> None:
    """Serve the pages on this machine, as BANYAN_API_URL, BANYAN_PAGES_KEY and BANYAN_PAGES_PORT say."""
    parser = argparse.ArgumentParser(prog="python -m banyan.web", description=main.__doc__)
    parser.add_argument("--socket-port", type=int, default=int(os.environ.get("BANYAN_PAGES_PORT") or 8001), help="where to answer, on this machine alone")
    port = parser.parse_args().socket_port
    url, key = os.environ.get("BANYAN_API_URL", "http://127.0.0.1:8000"), os.environ.get("BANYAN_PAGES_KEY", "")
    if not key:
        sys.exit("BANYAN_PAGES_KEY is empty: set it to a key with the roles events and answers (`banyan keys add pages --role events --role answers`).")
    try:
        from nicegui import app, ui
    except ImportError as error:
        raise MissingExtraError("nicegui", "web") from error
    import httpx

    from banyan.client import AsyncClient
    from banyan.web.console.opening import open_console
    from banyan.web.gateway import Gateway
    from banyan.web.guide import open_guide
    from banyan.web.visitor import Door

    client = AsyncClient(url, key, seconds=8.0, tries=2)
    app.add_static_files("/guide-files", str(Path(__file__).parent / "files"))
    app.add_middleware(Door)
    app.on_shutdown(client.close)
    gateway, roads = Gateway(client), httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=20))  # one for all operators
    app.on_shutdown(roads.aclose)
    open_guide(gateway, signing=os.environ.get("BANYAN_GUIDE_SIGN_IN", "yes") != "no")
    open_console(gateway, lambda own: AsyncClient(url, own, seconds=SLOW, tries=1, transport=roads))
    ui.run(host=LOCAL, port=port, title="Banyan", reload=False, show=False, show_welcome_message=False, tailwind=False, fastapi_docs=False, favicon="🌳")


if __name__ == "__main__":
    main()
