# SPDX-License-Identifier: BSD-2-Clause
"""What `up` does to the host, `down` undoes exactly; others' things are never touched.

    a0 ---- b0 (spillway)
"""

import os
import signal
import subprocess

import harness
from harness import Capture, Lab, foreign_xdp, processes, run, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

RULES = "drop udp dst port 9\ndivert udp dst port 53\ndrop dns name under flood.example"


def gone():
    wait_for(lambda: not processes("spillwayd"), 5, "no daemon left")


def test_up_down():
    for mode in "native", "generic", "auto":
        with Lab(queues=4) as lab:
            before = lab.srv.state()
            for _ in range(2):
                lab.up(RULES, "--mode", mode)
                status = lab.status()
                assert status["mode"] == ("generic" if mode == "generic" else "native") and status["mode_reason"], status
                lab.send(udp_frame(A4, B4, 1, 53, dns_query("a.example")), udp_frame(A6, B6, 1, 9))
                wait_for(lambda: (c := lab.verdicts())["user_pass"] and c["drop"])
                lab.down()
                lab.assert_state(before)
                gone()


def test_drops_only():
    """Without a divert rule no port is opened; applying one opens them, and down undoes that too."""
    with Lab(queues=2) as lab:
        before = lab.srv.state()
        lab.up("drop udp dst port 9")
        assert not any(queue["port"] for queue in lab.status()["queues"])
        lab.apply(RULES)
        lab.send(udp_frame(A4, B4, 1, 53, dns_query("a.example")))
        wait_for(lambda: lab.verdicts()["user_pass"] == 1)
        lab.down()
        lab.assert_state(before)


def test_no_bpffs():
    """On a host where nobody mounted bpffs it is mounted for the pins, and unmounted again."""
    with Lab() as lab:
        run("umount", "/sys/fs/bpf")
        try:
            before = lab.srv.state()
            lab.up(RULES)
            lab.send(udp_frame(A4, B4, 1, 9))
            wait_for(lambda: lab.verdicts()["drop"] == 1)
            lab.down()
            lab.assert_state(before)
        finally:
            run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")


def test_sigterm():
    """An orderly end of the daemon takes everything down."""
    for number in signal.SIGTERM, signal.SIGINT:
        with Lab() as lab:
            before = lab.srv.state()
            lab.up(RULES)
            os.kill(lab.daemon(), number)
            gone()
            lab.assert_state(before)


def test_foreground():
    with Lab() as lab:
        before = lab.srv.state()
        process = lab.srv.popen(harness.SPILLWAY, "up", "b0", "-f", lab.rules_file(RULES), "--foreground", env=lab.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        wait_for(lambda: lab.spillway("status", "b0", check=False).returncode == 0, 10, "armed")
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        output, _ = process.communicate(timeout=10)
        assert process.returncode == 0, output
        gone()
        lab.assert_state(before)


def test_two_daemons():
    """The second one refuses and names the first, which goes on."""
    with Lab() as lab:
        lab.up(RULES)
        first = lab.daemon()
        program = os.path.join(harness.ROOT, "build", "daemon", "spillwayd")
        second = lab.srv.run(program, "--foreground", check=False, env=lab.environment())
        assert second.returncode == 1 and str(first) in second.stderr, second
        assert lab.daemon() == first
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.verdicts()["drop"] == 1)


def test_two_interfaces():
    """Two interfaces under one daemon: taking one down leaves the other alone; the last one ends the daemon."""
    with Lab() as lab:
        run("ip", "link", "add", "a1", "netns", "atk", "type", "veth", "peer", "name", "b1", "netns", "srv")
        lab.atk.link_up("a1")
        lab.srv.link_up("b1")
        lab.srv.wait_ready("b1")
        before = lab.srv.state()
        lab.up(RULES)
        lab.spillway("up", "b1", "-f", lab.rules_file(RULES))
        lab.spillway("down", "b1")
        lab.send(udp_frame(A4, B4, 1, 53, dns_query("a.example")))
        wait_for(lambda: lab.verdicts()["user_pass"] == 1)
        lab.down()
        gone()
        lab.assert_state(before)


def test_foreign_program_comes_back():
    """A foreign program on another interface survives up and down on ours."""
    with Lab() as lab:
        foreign_xdp(lab.srv, "lo", "xdpgeneric")
        before = lab.srv.state()
        lab.up(RULES)
        lab.down()
        lab.assert_state(before)


def test_interface_deleted():
    """The interface vanishes while armed: no hang, nothing left, and its successor of the same name can be armed."""
    with Lab() as lab:
        lab.up(RULES)
        lab.srv.ip("link", "del", "b0")
        done = lab.spillway("down", "b0", check=False)
        assert done.returncode in (0, 3, 5), done
        gone()
        run("ip", "link", "add", "a0", "netns", "atk", "type", "veth", "peer", "name", "b0", "netns", "srv")
        lab.atk.link_up("a0")
        lab.srv.link_up("b0")
        lab.srv.wait_ready("b0")
        before = lab.srv.state()
        lab.up(RULES)
        lab.sender = lab.atk.packet_socket("a0", receive=False)
        capture = Capture(lab.srv, "b0")
        good = udp_frame(A4, B4, 1, 53, dns_query("a.example"))
        lab.send(udp_frame(A4, B4, 1, 9), good)
        capture.expect(good)
        lab.down()
        lab.assert_state(before)


def test_restore_dry_run():
    """-n says what it would undo, and undoes nothing; restore with nothing to do is fine."""
    with Lab() as lab:
        before = lab.srv.state()
        lab.spillway("restore")
        lab.up(RULES)
        os.kill(lab.daemon(), signal.SIGKILL)
        gone()
        left = lab.srv.state()
        said = lab.spillway("restore", "-n").stdout
        assert "b0" in said, said
        lab.assert_state(left)
        lab.spillway("restore")
        lab.assert_state(before)
        lab.spillway("restore")


def test_restore_spares_the_living():
    """While the daemon lives, restore refuses: nothing it describes is left over."""
    with Lab() as lab:
        lab.up(RULES)
        done = lab.spillway("restore", check=False)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.verdicts()["drop"] == 1)


if __name__ == "__main__":
    harness.main(globals())
