"""A network of machines in which servers can be cut off from each other: network namespaces that end with the processes that hold them.

One holds a bridge, to which this process and all machines are connected. No namespace has a name, so nothing is left of it when the
processes are gone, however that happens; the devices go with their namespaces.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import random
from contextlib import ExitStack

from tests.processes import Process, TimeoutExpired, run

from .nodes import wait_for

_networks = itertools.count()


class NoNetwork(Exception):
    """Network namespaces cannot be made here."""


class Machine:
    """A namespace with an address; programs run in it with `prefix` before them."""

    def __init__(self, stack: ExitStack) -> None:
        self.address = ""
        self._holder = stack.enter_context(Process("unshare", "--net", "sleep", "infinity"))
        self._others: list[str] = []
        wait_for(self._is_apart, "a namespace of its own")

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    def ip(self, *words: object) -> None:
        """Have `ip` set something in this namespace."""
        run(*self.prefix, "ip", *words)

    def cut_off_from(self, *others: Machine) -> None:
        """It and the others receive nothing of each other. Who is not named can talk to both."""
        for other in others:
            self.ip("route", "add", "blackhole", f"{other.address}/32")
            self._others.append(other.address)

    def cut_off(self) -> None:
        """Its cable is pulled out."""
        self.ip("link", "set", "eth0", "down")

    def heal(self) -> None:
        """All can talk to it again."""
        self.ip("link", "set", "eth0", "up")
        while self._others:
            self.ip("route", "del", "blackhole", f"{self._others.pop()}/32")

    def _is_apart(self) -> bool:
        if self._holder.poll() is not None:
            raise NoNetwork("unshare --net ended")
        return os.readlink(f"/proc/{self.pid}/ns/net") != os.readlink("/proc/self/ns/net")


class Network:
    """Machines that this process can talk to, all in one subnet that nobody else uses. `NoNetwork` if it cannot be made."""

    def __init__(self, stack: ExitStack, machines: int) -> None:
        device = f"gs{os.getpid()}-{next(_networks)}"  # at most 15 characters
        try:
            hub = Machine(stack)
            subnet = _free_subnet()
            hub.ip("link", "add", "bridge", "type", "bridge")
            hub.ip("link", "set", "bridge", "up")
            run("ip", "link", "add", device, "type", "veth", "peer", "name", "host", "netns", hub.pid)
            hub.ip("link", "set", "host", "master", "bridge", "up")
            run("ip", "address", "add", f"{subnet[1]}/24", "dev", device)
            run("ip", "link", "set", device, "up")
            self.machines = [self._machine(hub, stack, number, f"{subnet[10 + number]}") for number in range(machines)]
        except (AssertionError, OSError, TimeoutExpired) as error:
            raise NoNetwork(str(error)) from error

    @staticmethod
    def _machine(hub: Machine, stack: ExitStack, number: int, address: str) -> Machine:
        machine = Machine(stack)
        hub.ip("link", "add", f"m{number}", "type", "veth", "peer", "name", "eth0", "netns", machine.pid)
        hub.ip("link", "set", f"m{number}", "master", "bridge", "up")
        machine.ip("address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            machine.ip("link", "set", device, "up")
        machine.address = address
        return machine


def _free_subnet() -> ipaddress.IPv4Network:
    """One that no device of this machine is in."""
    taken = {
        ipaddress.ip_interface(f"{address['local']}/24").network
        for device in json.loads(run("ip", "-json", "-4", "address").stdout)
        for address in device["addr_info"]
    }
    while (subnet := ipaddress.IPv4Network(f"10.{random.randint(64, 250)}.{random.randint(0, 255)}.0/24")) in taken:
        pass
    return subnet
