"""The examples of docs/access.md do what it says, run as they stand there."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.instants import to_millisecond
from tests.plugins.play import StartPlay
from tests.support.provider import CLIENT_ID, MEMBER_OF_ALDER, running_provider
from tests.support.server import FakeClock
from tests.support.world import PASSWORD

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"
BETWEEN = "\n-- next --\n"


def examples() -> list[tuple[str, Any]]:
    """The commands, each with the answer that stands below it; None where there is none."""
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    found: list[tuple[str, Any]] = []
    for language, text in blocks:
        if language == "sh":
            found.append((text, None))
        else:
            found[-1] = (found[-1][0], json.loads(text))
    return found


def fits(answer: Any, expected: Any) -> bool:
    """Whether an answer is what was expected, where "…" stands for anything."""
    if expected == "…":
        return True
    if isinstance(expected, dict) and isinstance(answer, dict):
        return answer.keys() == expected.keys() and all(fits(answer[name], expected[name]) for name in expected)
    if isinstance(expected, list) and isinstance(answer, list):
        return len(answer) == len(expected) and all(map(fits, answer, expected))
    return bool(answer == expected)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.usefixtures("quick_passwords")
def test_the_examples_of_getting_in_answer_as_they_say(start_play: StartPlay) -> None:
    now = to_millisecond(datetime.now(UTC))
    with running_provider() as provider:
        believed = {"oidc_issuer": provider.url, "oidc_audience": CLIENT_ID, "oidc_create_users": True}
        play = start_play(FakeClock(now), **believed)
        signed_in = play.nobody.do("signIn", "sessionToken", email="member@alder.example", password=PASSWORD)
        delivery = play.generate("ci", play.server.client(signed_in["sessionToken"]))["delivery"]
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "SEALKEY": play.server.url,
            "EMAIL": "administrator@alder.example",
            "PASSWORD": PASSWORD,
            "EXPIRES": (now + timedelta(days=30)).isoformat().replace("+00:00", "Z"),
            "API_KEY": delivery["apiKey"],
            "API_SECRET": delivery["apiSecret"],
            "ID_TOKEN": provider.token("carol", **MEMBER_OF_ALDER),
        }
        script = "set -eu\n" + f"printf '%s' '{BETWEEN}'\n".join(text for text, _ in examples())
        ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    answers = ran.stdout.split(BETWEEN)
    expected = [answer for _, answer in examples()]
    assert len(answers) == len(expected) == 8
    for answer, wanted in zip(answers, expected, strict=True):
        assert fits(json.loads(answer), wanted), (answer, wanted)
