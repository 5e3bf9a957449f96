"""Ansible module: have these text files, each written whole or not at all; their folders are made.

One call for all of a host's files: as tasks of their own each would cost every host the better part of a second.
files: list of {path, text, mode}. Answers `changed` and, as `written`, the paths that were.
"""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-not-found]

FILES = {
    "path": {"type": "str", "required": True},
    "text": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
}


def is_current(path: Path, text: str, mode: int) -> bool:
    """Whether the file says just this, with just this mode."""
    return path.is_file() and path.read_text() == text and path.stat().st_mode & 0o7777 == mode


def write(path: Path, text: str, mode: int) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    part.replace(path)


def main() -> None:
    """What Ansible calls."""
    module = AnsibleModule(
        {"files": {"type": "list", "elements": "dict", "required": True, "options": FILES}}, supports_check_mode=True
    )
    stale = [(Path(item["path"]), item["text"], int(item["mode"], 8)) for item in module.params["files"]]
    stale = [(path, text, mode) for path, text, mode in stale if not is_current(path, text, mode)]
    for path, text, mode in [] if module.check_mode else stale:
        write(path, text, mode)
    module.exit_json(changed=bool(stale), written=[str(path) for path, _, _ in stale])


if __name__ == "__main__":
    main()
