"""A real directory: OpenLDAP's slapd on a port of this machine, with people in it."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from esrbridge.local.processes import free_ports, wait_until
from shared.account_settings import DirectorySettings

BASE = "ou=people,dc=trust,dc=example"
BIND = "cn=reader,dc=trust,dc=example"
PASSWORD = "canary-directory-4711"
_PATH = "/usr/sbin:/usr/local/sbin:/usr/lib/openldap:/usr/bin:/bin"

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
database mdb
maxsize 10485760
suffix "dc=trust,dc=example"
rootdn "{bind}"
rootpw {password}
directory {folder}/data
index objectClass eq
access to * by dn.exact="{bind}" read by anonymous auth
"""


@dataclass(slots=True)
class DirectoryServer:
    """A directory between its start and its end."""

    process: "subprocess.Popen[bytes]"
    plain_port: int
    secured_port: int
    certificate: Path
    password_file: Path

    def settings(self, **more: object) -> DirectorySettings:
        """Settings that reach it over TLS."""
        said = {
            "url": f"ldaps://localhost:{self.secured_port}",
            "base": BASE,
            "bind": BIND,
            "password_file": self.password_file,
            "ca_file": self.certificate,
            "timeout_seconds": 5,
        }
        return DirectorySettings.model_validate(said | more)


@contextmanager
def directory_server(folder: Path, certificate: Path, people: Mapping[str, str]) -> Iterator[DirectoryServer]:
    """Serve a directory of these people: user name (``uid``) to employee number. ``certificate``: PEM with its key."""
    slapd, slapadd = shutil.which("slapd", path=_PATH), shutil.which("slapadd", path=_PATH)
    if slapd is None or slapadd is None:
        pytest.fail("OpenLDAP's server is not installed: see deploy/local/need-server")
    (folder / "data").mkdir(parents=True)
    config = folder / "slapd.conf"
    config.write_text(_CONFIG.format(folder=folder, bind=BIND, password=PASSWORD, certificate=certificate))
    entries = folder / "people.ldif"
    entries.write_text(_entries(people))
    subprocess.run([slapadd, "-f", config, "-l", entries], check=True, capture_output=True)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    plain, secured = free_ports(2)
    addresses = f"ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{secured}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([slapd, "-d", "0", "-f", config, "-h", addresses], stdout=log, stderr=log)
    server = DirectoryServer(process, plain, secured, certificate, secret)
    try:
        assert wait_until(lambda: _answers(plain) and _answers(secured), 20), (folder / "log").read_text()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _entries(people: Mapping[str, str]) -> str:
    lines = [
        "dn: dc=trust,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Trust\ndc: trust\n",
        f"dn: {BASE}\nobjectClass: organizationalUnit\nou: people\n",
    ]
    lines += [
        f"dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: Invented {uid}\nsn: Invented\n"
        f"employeeNumber: {number}\nmail: {uid}@trust.example\n"
        for uid, number in people.items()
    ]
    return "\n".join(lines)
