"""User names from a trust's directory: looked up in a real one, over TLS, with everything that can go wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from services.outbound.directory import ASKED_AT_ONCE, Directory
from shared.account_settings import DirectorySettings
from shared.errors import ConfigurationError, DirectoryUnavailableError
from tests.integration.directory_server import BASE, PASSWORD, DirectoryServer, directory_server
from tests.integration.transport_servers import make_authority

PEOPLE = {
    "fplaceholder": "29000001",
    "rmockford": "29000002",
    "twice.a": "29000003",
    "twice.b": "29000003",
    "odd": "29*(00)4",
} | {f"user{n}": f"3{n:07}" for n in range(120)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectoryServer]:
    folder = tmp_path_factory.mktemp("directory")
    authority = make_authority(folder)
    certificate = authority.certify(folder / "server.pem", x509.DNSName("localhost"))
    with directory_server(folder / "slapd", certificate, PEOPLE) as running:
        running.certificate = authority.file
        yield running


def reader(settings: DirectorySettings) -> Directory:
    def password() -> str:
        assert settings.password_file is not None
        return settings.password_file.read_text()

    return Directory(settings, password)


async def test_user_names_are_found_by_employee_number(server: DirectoryServer) -> None:
    found = await reader(server.settings()).names(["29000001", "29000002", "29999999"])
    assert found == {"29000001": "fplaceholder", "29000002": "rmockford"}


async def test_another_attribute_can_be_the_user_name(server: DirectoryServer) -> None:
    found = await reader(server.settings(attribute="mail")).names(["29000001"])
    assert found == {"29000001": "fplaceholder@trust.example"}


async def test_a_number_that_two_people_have_names_nobody(server: DirectoryServer) -> None:
    assert await reader(server.settings()).names(["29000003"]) == {}


async def test_signs_with_a_meaning_in_searches_are_only_signs(server: DirectoryServer) -> None:
    assert await reader(server.settings()).names(["29*(00)4", "*", "2900000*"]) == {"29*(00)4": "odd"}


async def test_more_people_than_fit_one_search_are_found_in_several(server: DirectoryServer) -> None:
    numbers = [f"3{n:07}" for n in range(120)]
    assert len(numbers) > 2 * ASKED_AT_ONCE
    assert await reader(server.settings()).names(numbers) == {number: f"user{n}" for n, number in enumerate(numbers)}


async def test_nobody_is_asked_about_nobody(server: DirectoryServer) -> None:
    assert await reader(server.settings(url="ldaps://127.0.0.1:9")).names(["", ""]) == {}


async def test_on_this_machine_a_directory_can_be_reached_without_tls(server: DirectoryServer) -> None:
    settings = server.settings(url=f"ldap://127.0.0.1:{server.plain_port}", ca_file=None)
    assert await reader(settings).names(["29000001"]) == {"29000001": "fplaceholder"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda _: {"url": "ldaps://127.0.0.1:9"},
        lambda folder: {"password_file": written(folder, "wrong")},
        lambda _: {"bind": f"uid=nobody,{BASE}"},
        lambda _: {"base": "dc=elsewhere,dc=example"},
        lambda folder: {"ca_file": make_authority(folder / "other").file},
        lambda _: {"ca_file": None},
    ],
    ids=[
        "nobody there",
        "wrong password",
        "unknown login",
        "no such place",
        "a stranger's certificate",
        "no authority",
    ],
)
async def test_whatever_is_wrong_the_look_up_waits_and_nothing_of_it_is_repeated(
    server: DirectoryServer, tmp_path: Path, wrong: Callable[[Path], dict[str, object]]
) -> None:
    with pytest.raises(DirectoryUnavailableError) as refused:
        await reader(server.settings(**wrong(tmp_path))).names(["29000001"])
    assert "29000001" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert refused.value.retryable


def written(folder: Path, secret: str) -> Path:
    path = folder / "secret"
    path.write_text(secret)
    return path


@pytest.mark.parametrize("url", ["https://directory.example", "directory.example", "ldaps://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ldaps://directory\.example"):
        Directory(DirectorySettings(url=url, base=BASE), str)
