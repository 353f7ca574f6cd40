"""An FTPS server in a process of its own: ``python ftps_server.py '<json>'`` serves until it is ended.

Keys of the JSON: ``root``, ``certificate``, ``user``, ``password``, ``port``; ``passive``, pairs of a port that data
connections are accepted on and the one that is announced; ``demand_resumption``, ``without_facts``, ``without_tls``,
``tls_1_2``.
"""

import json
import re
import sys
from typing import Any

from OpenSSL import SSL
from pyftpdlib.authorizers import DummyAuthorizer  # type: ignore[import-untyped]
from pyftpdlib.handlers import FTPHandler, TLS_DTPHandler, TLS_FTPHandler  # type: ignore[import-untyped]
from pyftpdlib.servers import FTPServer  # type: ignore[import-untyped]


class Demanding(TLS_DTPHandler):  # type: ignore[misc]
    """Takes only data connections that resume the TLS session of the control connection, as vsftpd does."""

    def handle_ssl_established(self) -> None:
        if not SSL._lib.SSL_session_reused(self.socket._ssl):  # type: ignore[attr-defined]
            self.cmd_channel.respond("522 SSL connection failed: session reuse required.")
            self.close()


def main(said: dict[str, Any]) -> None:
    passive: dict[int, int] = dict(said["passive"])
    base = FTPHandler if said.get("without_tls") else TLS_FTPHandler

    class Handler(base):  # type: ignore[misc, valid-type]
        tls_control_required = tls_data_required = True
        certfile = said["certificate"]
        passive_ports = tuple(passive)
        unicode_errors = "surrogateescape"
        banner = "ready"
        use_sendfile = False
        auth_failed_timeout = 0.1

        def respond(self, answer: str, **more: Any) -> None:
            super().respond(_announced(answer, passive), **more)

    if said.get("demand_resumption"):
        Handler.dtp_handler = Demanding
    if said.get("without_facts"):
        Handler.proto_cmds = {name: how for name, how in base.proto_cmds.items() if name not in ("MLSD", "MLST")}
    if said.get("tls_1_2"):
        Handler.get_ssl_context().set_max_proto_version(SSL.TLS1_2_VERSION)
    Handler.authorizer = DummyAuthorizer()
    Handler.authorizer.add_user(said["user"], said["password"], said["root"], perm="elradfmwMT")
    Handler.authorizer.add_user("reader", said["password"], said["root"], perm="elr")
    FTPServer(("127.0.0.1", said["port"]), Handler).serve_forever(handle_exit=False)


def _announced(answer: str, passive: dict[int, int]) -> str:
    """Put the announced port in place of the accepted one into an answer to PASV."""
    found = re.search(r",(\d+),(\d+)\)", answer) if answer.startswith("227") else None
    if found is None:
        return answer
    port = passive[int(found[1]) * 256 + int(found[2])]
    return f"{answer[: found.start()]},{port // 256},{port % 256})."


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
