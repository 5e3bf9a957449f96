"""The pure parts of the door to subprocesses: what is shown, what is hidden, where the log stands."""

from __future__ import annotations

from pathlib import Path

from provision import shell


def test_secrets_never_show_in_a_message() -> None:
    shown = shell._shown(["helm", "--set", "password=hunter2"], ["hunter2"])
    assert shown == "helm --set password=***"


def test_an_empty_secret_hides_nothing() -> None:
    assert shell._hide("plain", [""]) == "plain"


def test_a_long_command_is_cut() -> None:
    assert len(shell._shown(["x" * 500], [])) == 200


def test_the_tail_of_a_log_is_told_with_its_last_line_s_number(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    log.write_text("\n".join(f"line {number}" for number in range(1, 41)) + "\n")
    assert shell._tail(log, "").splitlines()[0] == f"line {41 - shell.TAIL_LINES}"
    assert shell._place(log) == f"{log}:40"


def test_without_a_log_the_captured_output_is_told(tmp_path: Path) -> None:
    assert shell._tail(None, "a\nb\n") == "a\nb"
    assert shell._tail(tmp_path / "absent", "a") == "a"
    assert shell._place(tmp_path / "absent") == ""


def test_a_process_that_does_not_exist_is_not_alive() -> None:
    assert not shell.is_alive(2**22 + 1)
