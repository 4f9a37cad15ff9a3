"""The list of parts is compared with what is locked."""

from pathlib import Path

import pytest

from tests.deploy import sbom
from tests.support.processes import ROOT

LOCK = "one==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\ntwo==2.0 ; x \\\n    --hash=sha256:cc\n"
PARTS = """{"components": [
    {"name": "one", "version": "1.0", "externalReferences": [
        {"hashes": [{"alg": "SHA-256", "content": "aa"}, {"alg": "SHA-256", "content": "bb"}]}
    ]},
    {"name": "two", "version": "2.0", "externalReferences": [{"hashes": [{"alg": "SHA-256", "content": "cc"}]}]}
]}"""


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (PARTS, ""),
        (PARTS.replace("1.0", "1.1"), "one 1.0"),
        (PARTS.replace('"bb"', '"dd"'), "one 1.0"),
        ('{"components": []}', "one 1.0, two 2.0"),
    ],
)
def test_a_list_that_lacks_something_is_refused(tmp_path: Path, parts: str, missing: str) -> None:
    (tmp_path / "lock").write_text(LOCK)
    (tmp_path / "parts").write_text(parts)
    if not missing:
        sbom.main(str(tmp_path / "parts"), str(tmp_path / "lock"))
        return
    with pytest.raises(SystemExit, match=f"has: {missing}$"):
        sbom.main(str(tmp_path / "parts"), str(tmp_path / "lock"))


def test_every_package_of_the_lock_is_looked_for() -> None:
    text = (ROOT / "requirements.lock").read_text()
    # What is asked advisories about is all of it, and what traces take besides.
    assert sbom.locked(text).items() <= sbom.locked((ROOT / "requirements-tracing.lock").read_text()).items()
    assert len(sbom.locked(text)) == text.count("==") - text.count("python_version ==") - text.count(" == '") > 20
