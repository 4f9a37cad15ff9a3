"""Envelopes opened by programs that are not ours: stock openssl, jwcrypto, jose, and @peculiar/asn1 with Node.js."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from jwcrypto.common import JWException
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from auth.crypto.envelopes import EnvelopeFormat, decrypt_command, open_envelope, seal_cms, seal_jwe
from auth.crypto.public_keys import read_public_key
from tests.auth.crypto import envelopes, keys, readers
from tests.auth.crypto.envelopes import CONTENT
from tests.auth.crypto.readers import needs_node, needs_openssl

SIZES = pytest.mark.parametrize("bits", [2048, 3072, 4096])
SAMPLES = 20


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """For each size a file private.pem, in a directory of its own."""
    files = {}
    for bits in (2048, 3072, 4096):
        files[bits] = tmp_path_factory.mktemp(f"rsa{bits}") / "private.pem"
        pem = keys.private_key(bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, keys.UNPROTECTED)
        files[bits].write_bytes(pem)
    return files


def written(directory: Path, envelopes: list[bytes]) -> list[Path]:
    files = [directory / f"{index}.enc" for index in range(len(envelopes))]
    for file, envelope in zip(files, envelopes, strict=True):
        file.write_bytes(envelope)
    return files


@needs_openssl
@SIZES
def test_the_command_for_cms_opens_it_with_stock_openssl(key_files: dict[int, Path], bits: int) -> None:
    directory = key_files[bits].parent
    (directory / "two words.enc").write_bytes(seal_cms(CONTENT, keys.recipient(bits)))
    command = decrypt_command(EnvelopeFormat.CMS, "two words.enc")
    assert subprocess.run(command, shell=True, cwd=directory, capture_output=True, check=True).stdout == CONTENT


@needs_openssl
def test_a_key_made_by_openssl_can_be_sealed_to_and_opened_with(tmp_path: Path) -> None:
    assert readers.openssl("genrsa", "-out", tmp_path / "private.pem", "2048").returncode == 0
    public = readers.openssl("pkey", "-in", tmp_path / "private.pem", "-pubout").stdout.decode()
    (tmp_path / "it.enc").write_bytes(seal_cms(CONTENT, read_public_key(public)))
    opened = readers.openssl_opens(tmp_path / "it.enc", tmp_path / "private.pem")
    assert opened.stdout == CONTENT


@needs_openssl
def test_openssl_exits_with_a_failure_for_an_altered_envelope(key_files: dict[int, Path], tmp_path: Path) -> None:
    envelope = seal_cms(CONTENT, keys.recipient())
    positions = envelopes.spread(envelopes.protected_positions(envelope), SAMPLES)
    for file in written(tmp_path, envelopes.damaged_cms(envelope, positions)):
        opened = readers.openssl_opens(file, key_files[2048])
        assert opened.returncode != 0


@needs_node
@SIZES
def test_a_cms_reader_that_is_neither_ours_nor_openssl_opens_it(
    key_files: dict[int, Path], tmp_path: Path, bits: int
) -> None:
    (file,) = written(tmp_path, [seal_cms(CONTENT, keys.recipient(bits))])
    opened = readers.node("open-cms.mjs", file, key_files[bits])
    assert (opened.returncode, opened.stdout) == (0, CONTENT)


@needs_node
def test_no_altered_cms_envelope_ever_gives_another_content(key_files: dict[int, Path], tmp_path: Path) -> None:
    envelope = seal_cms(CONTENT, keys.recipient())
    everywhere = list(range(len(envelopes.cms_der(envelope))))
    files = written(tmp_path, [envelope, *envelopes.damaged_cms(envelope, everywhere)])
    intact, *contents = readers.node_contents("cms", key_files[2048], files)
    assert intact == CONTENT
    assert {contents[at] for at in envelopes.protected_positions(envelope)} == {None}
    assert set(contents) <= {None, CONTENT}


@needs_node
@SIZES
def test_jose_opens_the_jwe(key_files: dict[int, Path], tmp_path: Path, bits: int) -> None:
    (file,) = written(tmp_path, [seal_jwe(CONTENT, keys.recipient(bits))])
    opened = readers.node("open-jwe.mjs", file, key_files[bits])
    assert (opened.returncode, opened.stdout) == (0, CONTENT)


@needs_node
def test_jose_refuses_every_altered_jwe(key_files: dict[int, Path], tmp_path: Path) -> None:
    envelope = seal_jwe(CONTENT, keys.recipient())
    files = written(tmp_path, [envelope, *envelopes.damaged_jwe(envelope)])
    intact, *contents = readers.node_contents("jwe", key_files[2048], files)
    assert intact == CONTENT
    assert set(contents) == {None}


@needs_node
@pytest.mark.parametrize("script", ["open-cms.mjs", "open-jwe.mjs"])
def test_the_scripts_fail_for_what_they_cannot_open(key_files: dict[int, Path], tmp_path: Path, script: str) -> None:
    (file,) = written(tmp_path, [b"API Key,API Secret"])
    opened = readers.node(script, file, key_files[2048])
    assert opened.returncode != 0
    assert opened.stdout == b""


@SIZES
def test_jwcrypto_opens_the_jwe(bits: int) -> None:
    opened = JWE()
    opened.deserialize(seal_jwe(CONTENT, keys.recipient(bits)).decode(), JWK.from_pyca(keys.private_key(bits)))
    assert opened.payload == CONTENT


def test_jwcrypto_refuses_altered_jwes() -> None:
    key = JWK.from_pyca(keys.private_key())
    damaged = list(envelopes.damaged_jwe(seal_jwe(CONTENT, keys.recipient())))
    for index in envelopes.spread(list(range(len(damaged))), SAMPLES):
        with pytest.raises((JWException, ValueError)):
            JWE().deserialize(damaged[index].decode(), key)


@needs_openssl
def test_an_envelope_that_openssl_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (certificate,) = written(tmp_path, [keys.pem("CERTIFICATE", keys.certificate()).encode()])
    (tmp_path / "content").write_bytes(CONTENT)
    sealed = readers.openssl(
        "cms", "-encrypt", "-aes-256-gcm", "-in", tmp_path / "content", "-outform", "PEM", "-recip", certificate
    )
    assert sealed.returncode == 0
    with pytest.raises(ValueError, match="not made by Sealkey"):
        open_envelope(sealed.stdout, keys.private_key())


def test_the_lock_of_the_node_readers_names_no_host() -> None:
    lock = (readers.NODE_PROJECT / "package-lock.json").read_text()
    assert "://" not in lock
    assert "resolved" not in lock
