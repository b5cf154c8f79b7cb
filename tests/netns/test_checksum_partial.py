# SPDX-License-Identifier: BSD-2-Clause
"""Local senders leave checksums to the device: diverted and reinjected, their packets must still be accepted.

    a0 (sockets; checksum offload on) ---- b0 (spillway, both XDP modes; servers)
"""

import socket
import threading

import harness
from harness import Lab, wait_for
from packet import B4, B6, dns_query

RULES = "divert udp dst port 53\ndivert tcp dst port 5353\ndrop dns name under flood.example"
FAMILIES = ((socket.AF_INET, B4), (socket.AF_INET6, B6))


def serve_udp(server):
    with server:
        for _ in range(20):
            data, peer = server.recvfrom(2000)
            server.sendto(data, peer)


def serve_tcp(server):
    """Send back what comes, until the peer has finished."""
    with server:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)


def offload_is_on(lab):
    return "tx-checksumming: on" in lab.atk.run("ethtool", "-k", "a0").stdout


def start(target, server):
    thread = threading.Thread(target=target, args=(server,), daemon=True)
    thread.start()
    return thread


def udp_answers(lab, family, host):
    server = lab.srv.socket(family, socket.SOCK_DGRAM)
    server.bind(("", 53))
    thread = start(serve_udp, server)
    with lab.atk.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.connect((host, 53))
        for number in range(20):  # odd and even lengths
            query = dns_query("a" * (number + 1) + ".example", number)
            client.send(query)
            assert client.recv(2000) == query
    thread.join(5)


def tcp_answers(lab, family, host):
    server = lab.srv.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", 5353))
    server.listen()
    start(serve_tcp, server)
    sent = bytes(range(256)) * 4096
    with lab.atk.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect((host, 5353))
        start(lambda _: (client.sendall(sent), client.shutdown(socket.SHUT_WR)), None)
        came = bytearray()
        while data := client.recv(65536):
            came += data
    assert came == sent, f"{len(came)} of {len(sent)} bytes came back, or others"


def both_families(mode):
    with Lab() as lab:
        if not offload_is_on(lab):
            raise harness.Skip("veth without checksum offload")
        lab.up(RULES, "--mode", mode)
        for family, host in FAMILIES:
            udp_answers(lab, family, host)
            tcp_answers(lab, family, host)
        counts = lab.verdicts()
        assert counts["user_pass"] > 40 and counts["reinject_failed"] == 0, counts
        wait_for(lambda: (c := lab.verdicts())["divert"] == c["user_pass"], 3, "every diverted packet reinjected")


def test_native():
    both_families("native")


def test_generic():
    both_families("generic")


if __name__ == "__main__":
    harness.main(globals())
