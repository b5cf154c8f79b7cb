# SPDX-License-Identifier: BSD-2-Clause
"""Everything a person can get wrong: one line that names the fix, the exit code, and nothing changed.

    a0 ---- b0 (what spillway is refused)
"""

import os
import re
import shutil

import harness
from harness import Lab, foreign_xdp, processes
from packet import A4, B4, udp_frame

REFUSED, USAGE, UNREACHABLE, NOT_FOUND, PERMISSION = 1, 2, 3, 5, 6
GOOD = "drop udp dst port 9\ndivert udp dst port 53\ndrop dns name under flood.example"


def refused(done, code, pattern, what):
    """Exit code, nothing on stdout, and stderr is one line that matches."""
    lines = done.stderr.splitlines()
    assert done.returncode == code, f"{what}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    assert len(lines) == 1 and re.search(pattern, lines[0]), f"{what}: not one line like /{pattern}/:\n{done.stderr}"
    assert not done.stdout, f"{what}: {done.stdout}"


def unchanged(lab, before):
    lab.assert_state(before)
    harness.wait_for(lambda: not processes("spillwayd"), 5, "no daemon left")


def test_rules_errors():
    """file:line:col: message, the line, a caret that stands under what is meant; before anything is touched."""
    cases = (
        ("drop udp dst port 70000", 1, 19, "70000"),
        ("pass udp\n\tdrop ip src 10.0.0.1/33", 2, 14, "33"),
        ("# fine\n\ndorp udp", 3, 1, "drop"),
        ("drop src @nobody", 1, 10, "nobody"),
        ("drop udp and", 1, None, ""),
        ("drop (udp or tcp", 1, None, ""),
        ("drop len 99999-100000", 1, None, "65535"),
        ("drop src 10.1.2.3/8", 1, None, r"10\.0\.0\.0/8"),
    )
    with Lab() as lab:
        before = lab.srv.state()
        for command in ("check",), ("up", "b0"):
            for text, line, column, word in cases:
                path = lab.rules_file(text)
                done = lab.spillway(*command, "-f", path, check=False)
                lines = done.stderr.splitlines()
                place = re.match(rf"{re.escape(path)}:(\d+):(\d+): (.*)", lines[0] if lines else "")
                assert done.returncode == USAGE and place and len(lines) == 3, f"{command} {text!r}: {done}"
                got = int(place[1]), int(place[2])
                assert got == (line, column or got[1]) and re.search(word, place[3]), f"{command} {text!r}: {done.stderr}"
                source, caret = lines[1], lines[2]
                assert source == text.splitlines()[line - 1]
                assert caret.index("^") == got[1] - 1, done.stderr
                assert [c == "\t" for c in caret[:got[1] - 1]] == [c == "\t" for c in source[:got[1] - 1]], done.stderr
        unchanged(lab, before)


def test_rules_file_missing():
    with Lab() as lab:
        before = lab.srv.state()
        refused(lab.spillway("up", "b0", "-f", "/run/none", check=False), USAGE, "/run/none.*No such file", "no such file")
        refused(lab.spillway("up", "b0", check=False), USAGE, "-f", "no rules named")
        unchanged(lab, before)


def test_usage():
    with Lab() as lab:
        for args, word in ((("upp", "b0"), "up"), (("up",), "IFACE|interface"), (("status", "b0", "--jsn"), "jsn"),
                           (("up", "b0", "-f", "/dev/null", "--queue", "many"), "queue"),
                           (("up", "b0", "-f", "/dev/null", "--mode", "fast"), "native")):
            done = lab.spillway(*args, check=False)
            assert done.returncode == USAGE and re.search(word, done.stderr), f"{args}: {done}"


def test_unknown_interface():
    with Lab() as lab:
        before = lab.srv.state()
        rules = lab.rules_file(GOOD)
        refused(lab.spillway("up", "b9", "-f", rules, check=False), NOT_FOUND, r'no interface "b9".*ip link', "unknown interface")
        refused(lab.spillway("up", "x" * 40, "-f", rules, check=False), NOT_FOUND, "no interface", "name too long")
        unchanged(lab, before)


def test_interface_down():
    with Lab() as lab:
        lab.srv.ip("link", "set", "b0", "down")
        before = lab.srv.state()
        refused(lab.up(GOOD, check=False), REFUSED, "b0 is down.*ip link set", "interface down")
        unchanged(lab, before)


def test_queue_out_of_range():
    with Lab() as lab:
        before = lab.srv.state()
        refused(lab.up(GOOD, "--queue", "7", check=False), REFUSED, "queue 7", "queue out of range")
        unchanged(lab, before)


def test_foreign_program():
    """Somebody else's XDP program is named and left alone."""
    for flag in "xdpdrv", "xdpgeneric":
        with Lab() as lab:
            foreign_xdp(lab.srv, "b0", flag)
            before = lab.srv.state()
            refused(lab.up(GOOD, check=False), REFUSED, r"XDP program of somebody else \(foreign.*ip link set dev b0 xdp", flag)
            unchanged(lab, before)


def test_old_kernel():
    """The personality that makes uname(2) say 2.6 is a kernel too old."""
    with Lab() as lab:
        before = lab.srv.state()
        done = lab.srv.run("setarch", "--uname-2.6", harness.SPILLWAY, "up", "b0", "-f", lab.rules_file(GOOD), check=False,
                           env=lab.environment())
        refused(done, REFUSED, r"too old.*5\.18", "old kernel")
        unchanged(lab, before)


def test_missing_privilege():
    """As nobody, from a copy that nobody can reach."""
    with Lab() as lab:
        before = lab.srv.state()
        for name in "spillway", "spillwayd":
            folder = {"spillway": "cli", "spillwayd": "daemon"}[name]
            shutil.copy(os.path.join(harness.ROOT, "build", folder, name), f"/run/{name}")
        os.chmod("/run", 0o755)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        rules = lab.rules_file(GOOD)
        done = lab.srv.run(*nobody, "/run/spillway", "up", "b0", "-f", rules, check=False, env=lab.environment())
        refused(done, PERMISSION, "root|sudo", "up as nobody")
        unchanged(lab, before)
        lab.up(GOOD)
        for args in ("down", "b0"), ("apply", "b0", "-f", rules), ("up", "b0", "-f", rules):
            done = lab.srv.run(*nobody, "/run/spillway", *args, check=False, env=lab.environment())
            refused(done, PERMISSION, "root|sudo|group", f"{args} as nobody")
        assert lab.spillway("status", "b0").stdout
        done = lab.srv.run(*nobody, "/run/spillway", "check", "-f", rules, env=lab.environment())
        assert done.returncode == 0


def test_no_daemon():
    with Lab() as lab:
        rules = lab.rules_file(GOOD)
        for args in ("down", "b0"), ("apply", "b0", "-f", rules), ("rules", "b0"):
            done = lab.spillway(*args, check=False)
            assert done.returncode in (UNREACHABLE, NOT_FOUND) and len(done.stderr.splitlines()) == 1, f"{args}: {done}"


def test_not_armed():
    """With a daemon that has b0, another interface is not armed; b0 a second time is refused."""
    with Lab() as lab:
        lab.up(GOOD)
        for args in ("status", "lo"), ("down", "lo"), ("rules", "lo"):
            done = lab.spillway(*args, check=False)
            assert done.returncode == NOT_FOUND and len(done.stderr.splitlines()) == 1, f"{args}: {done}"
        refused(lab.up(GOOD, check=False), REFUSED, "b0.*(apply|already)", "up twice")
        lab.send(udp_frame(A4, B4, 1, 9))
        harness.wait_for(lambda: lab.verdicts()["drop"] == 1)


if __name__ == "__main__":
    harness.main(globals())
