# SPDX-License-Identifier: BSD-2-Clause
"""Everything a person can get wrong: one line that names the fix, the exit code, and nothing changed.

    a0 ---- b0 (what spillway is refused)
"""

import os
import re
import resource
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


# What a file holds, where `spillway check` finds fault with it (line, column, and width of the caret; None: no place) and why.
FILES = {
    "a NUL byte": (b"drop udp dst port 5\ndrop \0 udp", (2, 6, 1), "byte 0x00"),
    "zeros behind the text, as after a crash": (b"drop udp dst port 5\n\0\0\0\0", (2, 1, 1), "byte 0x00"),
    "CRLF": (b"drop udp dst port 5\r\ndorp tcp\r\n", (2, 1, 4), "did you mean `drop`"),
    "CR alone": (b"drop udp dst port 5\rcount tcp", (1, 21, 5), "found `count`"),
    "a byte order mark": (b"\xef\xbb\xbfdrop udp dst port 5", (1, 1, 3), "byte order mark.*without"),
    "a byte order mark and JSON": (b'\xef\xbb\xbf{"statements": []}', (1, 1, 3), "byte order mark.*without"),
    "UTF-16": ("drop udp dst port 5".encode("utf-16"), (1, 1, 2), "UTF-16.*UTF-8"),
    "UTF-8 within a word": ("drop udp dst p\xf6rt 5".encode(), (1, 15, 1), "byte 0xc3.*ASCII"),
    "parentheses": (b"drop " + b"(" * 1000000, (1, 70, 1), "deeper than 64"),
    "nots": (b"drop " + b"not " * 1000000 + b"udp", (1, 262, 3), "deeper than 64"),
    "not closed": (b"drop udp or (tcp and port 5\n", (1, 13, 1), "never closed"),
    "a string not closed": (b'set a { file "x\n }', (1, 14, 2), "never closed"),
    "100 MB of rules": (b"drop udp dst port 5 and src 10.0.0.1\n" * 2800000, (131073, 1, 4), "more than 131072 rules"),
    "100 MB of one rule": (b"drop udp" + b" or tcp" * 15000000, (1, 458758, 3), "more than 65536 questions"),
    "100 MB of junk": (b"\xff" * 100000000, (1, 1, 1), "byte 0xff"),
    "100 MB of JSON": (b'{"statements": [' + b"0," * 50000000 + b"0]}", None, "32 MiB.*as text"),
    "JSON nested": (b'{"statements": ' + b"[" * 1000000, (1, 2063, 1), "depth"),
    "JSON matches nested": (b'{"statements": [{"rule": "drop", "match": ' + b'{"not": ' * 500 + b'{"protocol": "udp"}' + b"}" * 500 +
                            b"}]}", None, r"deeper than 64 levels|\$\.statements\[0\]"),
    "JSON cut short": (b'{"statements": [{"rule": "drop", "match"', (1, 40, 1), "end of file"),
    "JSON with a NUL": (b'{"statements": [{"set": "a\\u0000b", "items": []}]}', (1, 34, 1), r"holds no \\u0000"),
    "JSON far away": (b'{"statements": [{"default": "drop", "line": 200000000}]}', None, r"\$\.statements\[0\]: `line`"),
    "no set file": (b'drop udp dst port 5\nset a { file "gone" }', (2, 14, 6), "gone: No such file"),
    "a set of a directory": (b'set a { file "." }', (1, 14, 3), "Is a directory"),
    "a set that never ends": (b'set a { file "/dev/zero" }', (1, 14, 11), "line 1 is longer than 65535"),
}

# The same of the file of a set, which is named then.
SET_FILES = {
    "no address": (b"192.0.2.1\n999.1.1.1/33\n", (2, 1, 12), "`999.1.1.1/33` is not an address"),
    "no address, CRLF": (b"192.0.2.1\r\n999.1.1.1/33\r\n", (2, 1, 12), "`999.1.1.1/33` is not an address"),
    "a mask too long": (b"192.0.2.1/33\n", (1, 1, 12), "33"),
    "a NUL byte": (b"192.0.2.1\n192.0\0.2.2\n", (2, 6, 1), "byte 0x00"),
    "a byte order mark": (b"\xef\xbb\xbf192.0.2.1\n", (1, 1, 3), "byte order mark.*without"),
    "two on a line": (b"192.0.2.1 192.0.2.2\n", (1, 11, 9), "one item a line"),
    "100 MB, and the last is wrong": (b"192.0.2.1\n" * 10000000 + b"x", (10000001, 1, 1), "`x`"),
}


def check_bounded(*args, **options):
    """`spillway check` with a gigabyte and a half, and 30 seconds."""
    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (1536 << 20, 1536 << 20))

    return harness.run(harness.SPILLWAY, "check", *args, check=False, timeout=30, preexec_fn=bound, errors="replace", **options)


def faulty(done, path, place, pattern, what):
    """One message, with its place and a caret of the right width below the right byte."""
    lines = done.stderr.split("\n")
    where = f":{place[0]}:{place[1]}: " if place else ": "
    assert done.returncode == USAGE and not done.stdout, f"{what}: {done.returncode}\n{done.stdout[:500]}{done.stderr[:2000]}"
    assert lines[0].startswith(f"{path}{where}error: ") and re.search(pattern, lines[0]), f"{what}: {done.stderr[:2000]}"
    if not place:
        assert len(lines) == 2, f"{what}: {done.stderr[:2000]}"
        return
    assert len(lines) == 4 and len(lines[1]) < 512, f"{what}: {done.stderr[:2000]}"
    assert re.fullmatch(r"[ \t]*\^~*", lines[2]) and len(lines[2].strip()) == place[2], f"{what}: {done.stderr[:2000]}"
    assert all(" " <= byte <= "~" or byte == "\t" for byte in lines[1]), f"{what}: {lines[1]!r}"


def test_files():
    """Whatever a file holds: one message that names the place, in bounded memory and time."""
    for what, (content, place, pattern) in FILES.items():
        with open("/run/rules", "wb") as file:
            file.write(content)
        faulty(check_bounded("-f", "/run/rules"), "/run/rules", place, pattern, what)
        if b"file " in content[:100]:
            continue
        with open("/run/rules", "rb") as file:
            faulty(check_bounded("-f", "-", stdin=file), "stdin", place, pattern, what + ", through stdin")
    with open("/run/rules", "w") as file:
        file.write('drop udp dst port 5\nset a { file "items" }\n')
    for what, (content, place, pattern) in SET_FILES.items():
        with open("/run/items", "wb") as file:
            file.write(content)
        faulty(check_bounded("-f", "/run/rules"), "/run/items", place, pattern, "set: " + what)


def test_files_good():
    """What is odd, and fine."""
    for content, said in ((b"", "there is no rule: every packet passes"), (b"\n \n# x", "there is no rule"),
                          (b"drop udp dst port 5\r\ncount tcp\r\n", ""),
                          (b"drop " + b" or ".join(b"port %d" % port for port in range(10001)), ""),
                          (b"count tcp # \0 \xff\n", ""), (b"# x\n" * 25000000 + b"count tcp", "")):
        with open("/run/rules", "wb") as file:
            file.write(content)
        done = check_bounded("-f", "/run/rules")
        assert done.returncode == 0 and said in done.stderr and bool(said) == bool(done.stderr), f"{content[:80]}: {done.stderr}"


def test_standard_files_closed():
    """A closed stdin is no empty rule set, nor is it the next file that is opened."""
    with open("/run/rules", "w") as file:
        file.write('set a { file "-" }\ndrop src @a\n')
    for args, pattern in ((("-f", "-"), "stdin: cannot read.*Bad file descriptor"),
                          (("-f", "/run/rules"), "/run/rules:1:14: error: cannot read stdin: Bad file descriptor")):
        done = harness.run("sh", "-c", 'exec "$@" <&-', "sh", harness.SPILLWAY, "check", *args, check=False)
        assert done.returncode == USAGE and re.search(pattern, done.stderr), f"{args}: {done}"
    done = harness.run("sh", "-c", 'exec "$@" >&-', "sh", harness.SPILLWAY, "check", "-f", "/dev/null", check=False)
    assert done.returncode == REFUSED and "cannot write the output" in done.stderr, done
    done = harness.run("sh", "-c", 'exec "$@" >/dev/full', "sh", harness.SPILLWAY, "check", "-f", "/dev/null", check=False)
    assert done.returncode == REFUSED and "cannot write the output" in done.stderr, done


def test_file_vanishes():
    """The rules of an apply are gone, then the file of their set: the old rules run on."""
    with Lab() as lab:
        lab.up(GOOD)
        rules = lab.rules_file('set a { file "items" }\ndrop src @a')
        with open("/run/items", "w") as file:
            file.write("192.0.2.1\n")
        lab.spillway("apply", "b0", "-f", rules)
        before = lab.spillway("rules", "b0").stdout
        os.remove("/run/items")
        done = lab.spillway("apply", "b0", "-f", rules, check=False)
        assert done.returncode == USAGE and re.match(rf"{rules}:1:14: error: cannot open /run/items: No such file", done.stderr), done
        os.remove(rules)
        refused(lab.spillway("apply", "b0", "-f", rules, check=False), USAGE, "No such file", "rules gone")
        refused(lab.spillway("apply", "b0", "-f", "/run", check=False), USAGE, "Is a directory", "a directory")
        assert lab.spillway("rules", "b0").stdout == before


def test_rules_file_missing():
    with Lab() as lab:
        before = lab.srv.state()
        refused(lab.spillway("up", "b0", "-f", "/run/none", check=False), USAGE, "/run/none.*No such file", "no such file")
        refused(lab.spillway("up", "b0", "-f", "", check=False), USAGE, '^spillway: "": .*No such file', "a variable that is not set")
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
