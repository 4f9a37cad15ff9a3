"""What pip-audit found: fails where there is an advisory about a package, and says which could not be asked about.

python -m tests.deploy.advisories FILE      as `pip-audit --format json` writes it; it may not have come so far
"""

import sys
from pathlib import Path
from typing import Any

import orjson


def main(file: Path) -> int:
    packages: list[dict[str, Any]] = orjson.loads(file.read_bytes())["dependencies"] if file.exists() else []
    advised = [package for package in packages if package.get("vulns")]
    for package in advised:
        ids = ", ".join(found["id"] for found in package["vulns"])
        sys.stderr.write(f"{package['name']} {package['version']} is advised against: {ids}.\n")
    if not packages or any("skip_reason" in package for package in packages):
        sys.stdout.write("PyPI could not be asked for advisories about every package; make audit tries again.\n")
    return 1 if advised else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
