# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces for the tests of this folder.

        atk                      srv
     +-------+   n-queue veth  +-------+
     |  a0   +-----------------+  b0   |   b0 is the interface that spillway protects
     +-------+                 +-------+
     10.99.0.1, fd99::1        10.99.0.2, fd99::2

A test file defines functions test_*() and ends with `harness.main(globals())`. Each function builds its own Lab:

    with Lab() as lab:
        lab.up("drop udp dst port 9")
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.verdicts()["drop"] == 1)

main() first moves itself into mount, network and process namespaces of its own, with a private /run and bpffs: names cannot
clash with other runs, and when the test ends, however it ends, the kernel removes everything it made. Nothing here sleeps for a
fixed time: wait for the event with wait_for(). SHELL=1 opens a shell in the lab where it would be taken down, also after a failure.
"""

import contextlib
import ctypes
import glob
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

from packet import A4, A6, B4, B6, MAC_A, MAC_B, udp_frame

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SPILLWAY = os.path.join(ROOT, "build", "cli", "spillway")
RUN_DIR = "/run/spillway-test"

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
SO_ATTACH_FILTER, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 26, 32, 33
ETH_P_ALL = socket.htons(3)
SYS_BPF = 321  # x86-64
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6


class Skip(Exception):
    """The test cannot run here; the message is the reason."""


pause = threading.Event().wait  # between two looks of wait_for(), never in a test


def wait_for(predicate, seconds=5, what=None):
    """Look until predicate() is true, and return its value. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or 'the event waited for'}")
        pause(0.01)


def run(*command, check=True, **options):
    """Run a command to its end (60 s) and return what subprocess.run() does, output as text."""
    options.setdefault("timeout", 60)
    done = subprocess.run(command, capture_output=True, text=True, stdin=options.pop("stdin", subprocess.DEVNULL), **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Namespace:
    """One network namespace of the lab."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        return self.run("ip", *args).stdout

    def run(self, *command, **options):
        """By nsenter: `ip netns exec` and `ip -n` would hide bpffs."""
        return run("nsenter", f"--net={self.path}", *command, **options)

    def link_up(self, ifname):
        """Without duplicate address detection, which would delay the first packet."""
        self.run("sysctl", "-qw", f"net.ipv6.conf.{ifname}.accept_dad=0")
        self.ip("link", "set", ifname, "up")

    def wait_ready(self, ifname):
        """The link has come up and has its own IPv6 address: from here on nothing changes by itself."""

        def ready():
            link, = json.loads(self.ip("-j", "addr", "show", ifname))
            return link["operstate"] == "UP" and any(address["family"] == "inet6" for address in link["addr_info"])

        wait_for(ready, 5, f"{ifname} up")

    def popen(self, *command, **options):
        return subprocess.Popen(["nsenter", f"--net={self.path}", *command], **options)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace, for making sockets."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def socket(self, family, kind, proto=0):
        with self.entered():
            return socket.socket(family, kind, proto)

    def packet_socket(self, ifname, receive):
        """AF_PACKET on one interface. As a receiver it sees what the stack is given: behind XDP, also behind generic XDP."""
        with self.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
            sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            sock.bind((ifname, 3 if receive else 0))
        return sock

    def state(self):
        """What spillway might change, a line each, without what changes by itself. Differs afterwards: something was left behind.

        BPF objects live as long as a process, a pin, or an attachment holds them; each of these would show here. The kernel's own
        list is no help: it is the whole host's, with what others load and unload meanwhile.
        """
        links = json.loads(self.run("ip", "-j", "-d", "addr", "show").stdout)
        for link in links:
            for address in link.get("addr_info", []):
                for volatile in ("valid_life_time", "preferred_life_time"):
                    address.pop(volatile, None)
        show = {"qdisc": ["tc qdisc show"], "nft": ["nft list ruleset"], "sysctl": [r"sysctl -a -r ^net\.(core|ipv[46]\.conf)\."],
                "bpf": ["bpftool net show"],
                "filter": [f"tc filter show dev {link['ifname']} {side}" for link in links for side in ("ingress", "egress")]}
        return set(flat("link", {link["ifname"]: link for link in links})) | {
            f"{key}: {line}" for key, commands in show.items() for command in commands
            for line in self.run(*command.split(), check=False).stdout.splitlines()} | {
            f"bpffs: {path}" for path in glob.glob("/sys/fs/bpf/**", recursive=True)} | {
            f"mount: {line}" for line in read("/proc/self/mounts").splitlines() if " bpf " in line} | {
            f"daemon: {pid}" for pid in processes("spillwayd")}


def flat(path, value):
    """One line for each leaf of a JSON value."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(f"{path} {key}", inner)
    else:
        yield f"{path}: {value}"


def read(path):
    with open(path) as file:
        return file.read()


def processes(name):
    """Processes of this name, by number, until they are gone: one that was killed keeps its sockets until its last thread ended.

    /proc shows the test's own process namespace only.
    """
    found = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if read(path).strip() == name:
                found.append(int(path.split("/")[2]))
    return found


def foreign_xdp(namespace, ifname, flag):
    """Attach somebody else's XDP program, `foreign`, which passes everything. `flag`: xdpdrv or xdpgeneric."""
    insns = struct.pack("<BBhi", 0xB7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit
    code, license_text = ctypes.create_string_buffer(insns), ctypes.create_string_buffer(b"GPL")
    load = struct.pack("<IIQQIIQII16s", 6, 2, ctypes.addressof(code), ctypes.addressof(license_text), 0, 0, 0, 0, 0, b"foreign")
    program = libc.syscall(SYS_BPF, 5, ctypes.create_string_buffer(load.ljust(128, b"\0")), 128)  # BPF_PROG_LOAD
    if program < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_LOAD")
    path = ctypes.create_string_buffer(b"/sys/fs/bpf/foreign")
    pin = struct.pack("<QIIII", ctypes.addressof(path), program, 0, 0, 0)
    if libc.syscall(SYS_BPF, 6, ctypes.create_string_buffer(pin), len(pin)) < 0:  # BPF_OBJ_PIN
        raise OSError(ctypes.get_errno(), "BPF_OBJ_PIN")
    os.close(program)
    namespace.ip("link", "set", "dev", ifname, flag, "pinned", "/sys/fs/bpf/foreign")


class Capture:
    """What arrives in the stack on one interface: frames with their VLAN tag put back where it was."""

    def __init__(self, namespace, ifname):
        self.sock = namespace.packet_socket(ifname, receive=True)

    def only(self, head):
        """From now on only frames that begin with these bytes, behind the addresses and compared in words of four."""
        offsets = range(14, len(head) - 3, 4)
        program = b""
        for n, offset in enumerate(offsets):
            program += struct.pack("=HBBI", 0x20, 0, 0, offset)  # load the word; not equal: jump to the last instruction
            program += struct.pack("=HBBI", 0x15, 0, 2 * (len(offsets) - n) - 1, int.from_bytes(head[offset:offset + 4], "big"))
        program += struct.pack("=HBBI", 0x06, 0, 0, 65536) + struct.pack("=HBBI", 0x06, 0, 0, 0)
        code = ctypes.create_string_buffer(program, len(program))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(code)))

    def next(self, seconds=1.0):
        """The next frame, or None."""
        self.sock.settimeout(seconds)
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(65536, 64)
        except (TimeoutError, BlockingIOError):
            return None
        assert not flags & socket.MSG_TRUNC
        for level, kind, value in ancillary:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", value)
                if status & TP_STATUS_VLAN_VALID:
                    tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                    data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
        return data

    def frames(self, seconds=0.0):
        """All that are there; waits `seconds` for each."""
        while (data := self.next(seconds)) is not None:
            yield data

    def expect(self, data, seconds=2.0):
        """Wait for this very frame; others that come before it are ignored."""
        wait_for(lambda: self.next(0.1) == data, seconds, f"frame {data.hex()}")


class Lab:
    """The topology above, and spillway in it. `quiet`: a0 sends nothing by itself, so that every frame on b0 is the test's."""

    def __init__(self, queues=1, quiet=False):
        self.queues = queues
        self.quiet = quiet
        self.n_rules = 0

    def __enter__(self):
        self.atk, self.srv = Namespace("atk"), Namespace("srv")
        queues = ("numtxqueues", str(self.queues), "numrxqueues", str(self.queues))
        run("ip", "link", "add", "a0", "address", MAC_A.hex(":"), *queues, "netns", "atk", "type", "veth",
            "peer", "name", "b0", "address", MAC_B.hex(":"), *queues, "netns", "srv")
        if self.quiet:
            self.atk.run("sysctl", "-qw", "net.ipv6.conf.a0.disable_ipv6=1")
        for namespace, ifname, ip4, ip6 in (self.atk, "a0", A4, A6), (self.srv, "b0", B4, B6):
            namespace.link_up(ifname)
            if ifname == "b0" or not self.quiet:
                namespace.run("sysctl", "-qw", f"net.ipv6.conf.{ifname}.router_solicitations=0")
                namespace.ip("addr", "add", f"{ip4}/24", "dev", ifname)
                namespace.ip("addr", "add", f"{ip6}/64", "dev", ifname)
        for namespace, ifname, mac, peers in (self.atk, "a0", MAC_B, (B4, B6)), (self.srv, "b0", MAC_A, (A4, A6)):
            for peer in peers if ifname == "b0" or not self.quiet else ():
                namespace.ip("neigh", "add", peer, "lladdr", mac.hex(":"), "dev", ifname, "nud", "permanent")
        self.srv.wait_ready("b0")
        self.sender = self.atk.packet_socket("a0", receive=False)
        return self

    def __exit__(self, kind, error, _):
        if kind and kind is not Skip:
            print(f"{kind.__name__}: {error}")
            self.report()
        if os.environ.get("SHELL") == "1":
            print(f"shell in namespace srv; the other one: nsenter --net={self.atk.path}")
            subprocess.run(["nsenter", f"--net={self.srv.path}", "bash", "--norc"], env=self.environment(PS1="srv# "))
        for pid in processes("spillwayd"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.sender.close()
        for namespace in self.atk, self.srv:
            run("ip", "netns", "del", namespace.name, check=False)
        run("find", "/sys/fs/bpf", "-mindepth", "1", "-delete", check=False)
        run("rm", "-rf", RUN_DIR)

    def report(self):
        """What helps to understand a failure."""
        print(self.spillway("status", "b0", check=False).stdout)
        for path in glob.glob(RUN_DIR + "/**/log", recursive=True):
            print(f"{path}:\n{read(path)[-4000:]}")

    def environment(self, **extra):
        return {**os.environ, "SPILLWAY_RUN_DIR": RUN_DIR, **extra}

    # spillway

    def rules_file(self, text):
        self.n_rules += 1
        path = f"/run/rules-{self.n_rules}"
        with open(path, "w") as file:
            file.write(text + "\n")
        return path

    def spillway(self, *args, check=True, env=None, **options):
        return self.srv.run(SPILLWAY, *args, check=check, env=self.environment(**(env or {})), **options)

    def up(self, rules, *args, **options):
        return self.spillway("up", "b0", "-f", self.rules_file(rules), *args, **options)

    def down(self):
        return self.spillway("down", "b0")

    def apply(self, rules, **options):
        return self.spillway("apply", "b0", "-f", self.rules_file(rules), **options)

    def status(self):
        return json.loads(self.spillway("status", "b0", "-j").stdout)

    def verdicts(self):
        """Packets by verdict name."""
        return {name: hits["packets"] for name, hits in self.status()["verdicts"].items()}

    def hits(self):
        """Packets by rule name."""
        rules = json.loads(self.spillway("rules", "b0", "-j").stdout)
        rules = rules["rules"] if isinstance(rules, dict) else rules
        return {rule["name"]: rule["packets"] for rule in rules if rule.get("name")}

    def link_names(self):
        return {link["ifname"] for link in json.loads(self.srv.run("ip", "-j", "link", "show").stdout)}

    def link_index(self, ifname):
        return json.loads(self.srv.run("ip", "-j", "link", "show", ifname).stdout)[0]["ifindex"]

    def daemon(self):
        """The daemon's process number."""
        pids = processes("spillwayd")
        assert len(pids) == 1, f"spillwayd processes: {pids}"
        return pids[0]

    def send(self, *frames):
        for data in frames:
            self.sender.send(data)

    def assert_state(self, before, seconds=10):
        """The state is, or soon becomes, the one before."""

        def differences():
            now = self.srv.state()
            return sorted(f"- {line}" for line in before - now) + sorted(f"+ {line}" for line in now - before)

        try:
            wait_for(lambda: not differences(), seconds)
        except AssertionError:
            raise AssertionError("not as before:\n" + "\n".join(differences())) from None


class Stream:
    """Numbered UDP frames from a0 at `pps`, and which of them arrived in b0's stack: every number is accounted for.

    A frame carries `data` and behind it its number. Sends until stop().
    """

    def __init__(self, lab, src, dst, dport, pps, data=b"", sport=7777):
        self.make = lambda number: udp_frame(src, dst, sport, dport, data + number.to_bytes(8, "big"))
        self.interval = 1 / pps
        self.sender = lab.atk.packet_socket("a0", receive=False)
        self.capture = Capture(lab.srv, "b0")
        self.capture.only(self.make(0)[:-(len(data) + 12)])  # up to the ports
        self.sent = 0
        self.arrived = {}  # number: time of arrival
        self.twice = []
        self.ended, self.all_sent = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.send, self.receive)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def send(self):
        due = time.monotonic()
        while not self.ended.is_set():
            with contextlib.suppress(OSError):  # ENOBUFS: the veth ring was full, the frame is not on its way
                self.sender.send(self.make(self.sent))
                self.sent += 1
            due = max(due + self.interval, time.monotonic() - 0.01)  # late: catch up 10 ms at most
            if (ahead := due - time.monotonic()) > 0:
                self.ended.wait(ahead)
        self.all_sent.set()

    def receive(self):
        silence = 0  # tenths of a second without a frame, since the last was sent
        while silence < 5 and not (self.all_sent.is_set() and len(self.arrived) == self.sent):
            data = self.capture.next(0.1)
            silence = silence + 1 if data is None and self.all_sent.is_set() else 0
            if data:
                number = int.from_bytes(data[-8:], "big")
                if number in self.arrived:
                    self.twice.append(number)
                self.arrived[number] = time.monotonic()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def advance(self, frames=20, seconds=5):
        """Wait until `frames` more that are sent from now on have arrived."""
        start = self.sent
        wait_for(lambda: sum(number >= start for number in list(self.arrived)[-4 * frames:]) >= frames, seconds,
                 f"{frames} more frames like {self.make(0).hex()}")

    def lost(self):
        """Numbers that never arrived, in order; after stop()."""
        return sorted(set(range(self.sent)) - self.arrived.keys())


def private():
    """Run this program again in namespaces of its own; does not come back. The shell in between reaps orphans, as init would."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
    refusal = run(*unshare, "exit 0", check=False).stderr
    if refusal:
        print(f"no namespaces here: {refusal.strip()}")
        sys.exit(77)
    inside = 'mount -t tmpfs tmpfs /run && mount -t bpf bpf /sys/fs/bpf && "$0" "$@"; exit $?'
    os.environ["SPILLWAY_TEST_PRIVATE"] = "yes"
    os.execvp("unshare", [*unshare, inside, sys.executable, *sys.argv])


def main(names):
    """Run the test functions among `names` (a module's globals), or those named on the command line."""
    if os.geteuid():
        print("needs root")
        sys.exit(77)
    if not os.environ.get("SPILLWAY_TEST_PRIVATE"):
        private()
    for name in sys.argv[1:] or [name for name in names if name.startswith("test_")]:
        print(name, flush=True)
        try:
            names[name]()
        except Skip as reason:
            print(reason)
            sys.exit(77)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            sys.exit(1)
