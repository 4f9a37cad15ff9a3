"""Makes the image and runs it, alone and in the composition, as docs/operating.md says; prints what was seen to hold.

python -m tests.deploy.image      needs docker with compose, as root, and the ports 80, 443 and 8000
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.docs.markdown import ROOT, blocks, page, section

_NAME = "sealkey-image-test"
_OURS = re.compile(r"(--name |exec (?:-i )?|-v |cp )sealkey\b(?!-\d)")
_ALONE, _COMPOSED = (block.text for block in blocks(section(page("docs/operating.md"), "## In containers"), "sh"))
_READY = "curl --silent --show-error --fail --insecure --retry 60 --retry-delay 1 --retry-all-errors"
_HEALTHY = f"docker ps --quiet --filter name={_NAME} --filter health=healthy"

_HOLDS_ALONE = {
    "it gets ready": f"{_READY} http://127.0.0.1:8000/readyz",
    "Docker finds it healthy": f"timeout 60 sh -c 'until {_HEALTHY} | grep -q .; do sleep 1; done'",
    "it is user 10001": f'test "$(docker exec {_NAME} id -u)" = 10001',
    "it has no capability": f"docker exec {_NAME} grep -q '^CapBnd:.0*$' /proc/1/status",
    "its root can't be written": f"! docker exec --user 0 {_NAME} touch /new",
    "keys rotate": f"docker exec {_NAME} sealkey keys rotate --purpose all --lead 5",
    "the audit log is whole": f"docker exec {_NAME} sealkey audit verify",
    "it stops by itself": f'docker stop {_NAME} && test "$(docker inspect -f "{{{{.State.ExitCode}}}}" {_NAME})" = 0',
}
_HOLDS_COMPOSED = {
    "the balancer has servers": f"{_READY} https://localhost/readyz",
    "keys rotate": "docker compose exec -T sealkey-1 sealkey keys rotate",
    "one server is enough": "docker compose kill sealkey-1 && curl --silent --fail --insecure https://localhost/readyz",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {"PASSWORD": os.urandom(16).hex(), "COMPOSE_PROJECT_NAME": _NAME}
        checkout = Path(directory) / "sealkey"
        _sh(f"git clone --quiet {ROOT} {checkout} && mkdir {directory}/backups {directory}/backups-of-keys", ROOT)
        alone = _OURS.sub(rf"\1{_NAME}", _ALONE).replace(" /backups", f" {directory}/backups")
        _holds(alone, _HOLDS_ALONE, checkout, f"docker rm -fv {_NAME}; docker volume rm {_NAME}")
        composed = _COMPOSED.replace(" /backups", f" {directory}/backups")
        _holds(composed, _HOLDS_COMPOSED, checkout / "deploy", "docker compose down --volumes")


def _holds(documented: str, checks: dict[str, str], where: Path, finally_: str) -> None:
    try:
        for name, script in {"what is documented runs": documented, **checks}.items():
            began = time.monotonic()
            _sh(script, where)
            sys.stdout.write(f"{where.name}: {name} ({time.monotonic() - began:.0f} s)\n")
    finally:
        subprocess.run(["sh", "-c", finally_], cwd=where, check=False, capture_output=True)


def _sh(script: str, where: Path) -> None:
    done = subprocess.run(["sh", "-euc", script], cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
