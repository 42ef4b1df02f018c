"""The doctor: what it finds, and that it has a remedy for whatever is missing."""

import shutil
import socket
from pathlib import Path

import pytest

from podpath import doctor, sandbox
from podpath.doctor import Finding


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_on_a_machine_that_runs_these_tests_whatever_every_lab_needs_is_there() -> None:
    findings = by_name(doctor.examine())
    assert findings["sandbox"].present
    for name in ("ip", "nft", "curl", "ping", "mnexec", "veth", "bridge", "netns", "nat"):
        assert findings[name].needed, name
        assert findings[name].present, name


def test_each_finding_says_what_it_is_for_and_is_there_once() -> None:
    findings = doctor.examine()
    assert all(finding.purpose for finding in findings)
    assert len(by_name(findings)) == len(findings)


def test_whatever_is_missing_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> tuple[int, bytes]:
        raise sandbox.NoSandbox("allow it with: sudo sysctl -w user.max_user_namespaces=10000")

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sandbox, "run", refused)
    findings = doctor.examine()
    assert not any(finding.present for finding in findings)
    assert all(any(word in finding.remedy for word in ("sudo", "install")) for finding in findings)
    assert "sudo sysctl -w user.max_user_namespaces=10000" in by_name(findings)["sandbox"].remedy
    assert "install --no-install-recommends mininet" in by_name(findings)["mnexec"].remedy


def test_a_feature_that_does_not_work_in_the_sandbox_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "run", lambda _: (0, b'{"veth": true, "vxlan": false}'))
    findings = by_name(doctor.examine())
    assert findings["veth"].present
    assert not findings["vxlan"].present
    assert not findings["bridge"].present
    assert "modprobe vxlan" in findings["vxlan"].remedy


def test_a_sandbox_that_fails_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "run", lambda _: (1, b""))
    findings = by_name(doctor.examine())
    assert not findings["sandbox"].present
    assert findings["sandbox"].remedy


def test_what_it_tries_leaves_no_trace_on_the_machine() -> None:
    before = socket.if_nameindex()
    doctor.examine()
    assert socket.if_nameindex() == before


def test_it_proves_that_a_cluster_works() -> None:
    assert doctor.prove(2, 2).startswith("it works here: 2 nodes, 4 pods, every pod reaches every pod (")


@pytest.mark.parametrize("answer", [(1, b""), (0, b"3\n"), (0, b"")])
def test_a_proof_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]) -> None:
    monkeypatch.setattr(sandbox, "run", lambda *_, **__: answer)
    with pytest.raises(RuntimeError, match="did not come up in a sandbox"):
        doctor.prove(2, 2)


def test_it_works_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor.prove(1, 1).startswith("it works here")
    assert by_name(doctor.examine())["sandbox"].present
    assert capfd.readouterr().err == ""
