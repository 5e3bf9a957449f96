"""A notebook on the platform's JupyterLab, executed as a browser does it: contents, session, a kernel's channels."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_ws import WebSocketSession, connect_ws

from provision.errors import CheckFailed

KERNEL = "python3"


@dataclass(frozen=True)
class Notebook:
    """asking: JupyterLab, with the token. path: from the server's root. cells: Python. cell_s: one cell's deadline."""

    asking: httpx.Client
    path: str
    cells: Sequence[str]
    cell_s: float

    def run(self) -> Sequence[str]:
        """Execute every cell in one kernel, save what they printed in the notebook; returns it, a text a cell."""
        self._save([""] * len(self.cells))
        channels: WebSocketSession
        with self._session() as kernel, connect_ws(f"/api/kernels/{kernel}/channels", self.asking) as channels:
            printed = [self._execute(channels, cell) for cell in self.cells]
        self._save(printed)
        return printed

    def remove(self) -> None:
        """The file; nothing where there is none."""
        answer = self.asking.delete(f"/api/contents/{self.path}")
        if answer.status_code not in {204, 404}:
            raise CheckFailed(f"jupyter: delete {self.path}: {answer.status_code}", why=answer.text[:500])

    @contextmanager
    def _session(self) -> Iterator[str]:
        """A kernel of the notebook's own, stopped afterwards."""
        wanted = {"path": self.path, "name": self.path, "type": "notebook", "kernel": {"name": KERNEL}}
        session = self._ask("POST", "/api/sessions", wanted)
        try:
            yield str(session["kernel"]["id"])
        finally:
            self._ask("DELETE", f"/api/sessions/{session['id']}")

    def _execute(self, channels: WebSocketSession, code: str) -> str:
        """One cell; what it printed when its kernel is idle again. An exception in it fails the check."""
        request = message(code)
        channels.send_text(json.dumps(request))
        printed = ""
        while True:
            told = json.loads(channels.receive_text(timeout=self.cell_s))
            if told["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                continue
            kind, content = told["msg_type"], told["content"]
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            elif kind == "error":
                raise CheckFailed(f"jupyter: a cell: {content['ename']}", why=content["evalue"][:500])
            elif kind == "status" and content["execution_state"] == "idle":
                return printed

    def _save(self, printed: Sequence[str]) -> None:
        pairs = zip(self.cells, printed, strict=True)
        self._ask("PUT", f"/api/contents/{self.path}", {"type": "notebook", "content": document(list(pairs))})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.asking.request(method, path, json=body)
        if not answer.is_success:
            raise CheckFailed(f"jupyter: {method} {path}: {answer.status_code}", why=answer.text[:500])
        return answer.json() if answer.content else {}


def message(code: str) -> Mapping[str, Any]:
    """An execute request, https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute."""
    header = {"msg_id": uuid.uuid4().hex, "session": uuid.uuid4().hex, "username": "", "msg_type": "execute_request"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {
        "channel": "shell",
        "header": {**header, "version": "5.3", "date": ""},
        "parent_header": {},
        "metadata": {},
        "content": content,
    }


def document(cells: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """A notebook of cells and what each printed."""
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"name": KERNEL, "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "metadata": {},
                "execution_count": None,
                "source": code,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": text}] if text else [],
            }
            for code, text in cells
        ],
    }
