"""The Redis that is found or started, with real servers, real processes and real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from streaming.server import embedded_redis, redis_server
from streaming.server.embedded_redis import RedisUnavailable, ensure_redis, resolve, start_redis, without_password
from tests.processes import PIPE, Process

PROJECT = Path(embedded_redis.__file__).parents[2]


@pytest.fixture
def default_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port in the place of 6379, whatever runs there on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    monkeypatch.setattr(embedded_redis, "DEFAULT_PORT", port)
    return port


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "ANSWER_SECONDS", 0.2)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def answers(url: str) -> bool:
    try:
        with closing(redis.Redis.from_url(url, retry=None)) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@contextmanager
def command(port: int, *arguments: str | Path, cwd: Path = PROJECT) -> Iterator[tuple[Process, str]]:
    """`python -m streaming.server.embedded_redis` in its own process, with `port` for 6379; and the URL it prints."""
    program = f"import sys; from streaming.server import embedded_redis as e; e.DEFAULT_PORT = {port}; sys.exit(e.main())"
    environment = {key: value for key, value in os.environ.items() if key not in {"REDIS_URL", "GEOSTREAM_DATA_DIR"}}
    environment["PYTHONPATH"] = str(PROJECT)
    with Process(sys.executable, "-c", program, *arguments, cwd=cwd, env=environment, stdout=PIPE) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


@contextmanager
def listener(port: int, reply: bytes) -> Iterator[None]:
    """Something that listens, but is no Redis: it says `reply` to each connection."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    connection.recv(1024)
                    connection.sendall(reply)

    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_it_starts_a_server_at_the_default_port(tmp_path: Path, default_port: int) -> None:
    with ensure_redis(None, tmp_path) as service:
        assert service.process is not None
        assert service.url == f"redis://127.0.0.1:{default_port}/0"
        assert answers(service.url)
    assert not answers(service.url)


def test_it_is_kept_to_loopback_and_to_the_append_only_file(tmp_path: Path) -> None:
    with start_redis(tmp_path) as service, closing(redis.Redis.from_url(service.url, decode_responses=True)) as client:
        wanted = {"bind": "127.0.0.1", "protected-mode": "yes", "appendonly": "yes", "appendfsync": "everysec", "save": ""}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert client.config_get("dir") == {"dir": str(tmp_path / "redis")}


def test_data_survives_a_restart(tmp_path: Path) -> None:
    with start_redis(tmp_path) as service, closing(redis.Redis.from_url(service.url)) as client:
        client.set("kept", "yes")
    with start_redis(tmp_path) as service, closing(redis.Redis.from_url(service.url)) as client:
        assert client.get("kept") == b"yes"


def test_a_data_directory_may_have_any_name(tmp_path: Path) -> None:
    with start_redis(tmp_path / 'a "strange" näme\\') as service:
        assert answers(service.url)


def test_stop_may_be_called_twice(tmp_path: Path) -> None:
    service = start_redis(tmp_path)
    service.stop()
    service.stop()
    assert service.process is None


def test_a_given_url_is_used_and_left_running(tmp_path: Path) -> None:
    with start_redis(tmp_path / "theirs") as theirs:
        with ensure_redis(theirs.url, tmp_path / "ours") as service:
            assert (service.url, service.process) == (theirs.url, None)
        assert answers(theirs.url)
        assert not (tmp_path / "ours").exists()


@pytest.mark.usefixtures("short_wait")
def test_a_given_url_that_does_not_answer_is_refused(tmp_path: Path, default_port: int) -> None:
    with pytest.raises(RedisUnavailable, match=r"REDIS_URL is redis://\*\*\*@127.0.0.1:\d+, .* Start that server") as refusal:
        ensure_redis(f"redis://:secret@127.0.0.1:{default_port}", tmp_path)
    assert "secret" not in str(refusal.value)


@pytest.mark.usefixtures("short_wait")
def test_a_password_in_the_query_is_not_shown_either(tmp_path: Path, default_port: int) -> None:
    with pytest.raises(RedisUnavailable) as refusal:
        ensure_redis(f"redis://127.0.0.1:{default_port}?password=secret", tmp_path)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://user:sec/ret@localhost", "rediss://***@localhost"),
        ("redis://localhost?password=sec@ret&db=1", "redis://localhost?password=***&db=1"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_given_url_of_no_redis_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable, match=r"REDIS_URL is http://example\.org"):
        ensure_redis("http://example.org", tmp_path)


def test_a_given_server_that_wants_a_password_is_refused_at_once(tmp_path: Path) -> None:
    with start_redis(tmp_path) as theirs, closing(redis.Redis.from_url(theirs.url)) as client:
        client.config_set("requirepass", "secret")
        with pytest.raises(RedisUnavailable, match="Authentication required"):
            ensure_redis(theirs.url, tmp_path)


def test_a_given_server_that_is_still_starting_is_waited_for(tmp_path: Path, default_port: int) -> None:
    url = f"redis://127.0.0.1:{default_port}/0"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ensure_redis, url, tmp_path / "ours")
        with ensure_redis(None, tmp_path / "theirs"):
            assert waiting.result(timeout=10).url == url


def test_the_project_uses_redis_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_redis(tmp_path) as theirs:
        monkeypatch.setenv("REDIS_URL", theirs.url)
        assert resolve() == theirs.url


def test_a_redis_at_the_default_port_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_redis(tmp_path / "theirs") as theirs:
        (tmp_path / "theirs" / "redis" / redis_server.LOCK).unlink()  # so it looks like an ordinary server
        monkeypatch.setattr(embedded_redis, "DEFAULT_PORT", port_of(theirs.url))
        service = ensure_redis(None, tmp_path / "ours")
        assert (service.url, service.process) == (theirs.url, None)


def test_another_projects_embedded_redis_is_left_alone(tmp_path: Path, default_port: int) -> None:
    with ensure_redis(None, tmp_path / "theirs") as theirs, ensure_redis(None, tmp_path / "ours") as ours:
        assert port_of(theirs.url) == default_port
        assert ours.url != theirs.url
        assert answers(ours.url)


def test_a_redis_with_a_password_at_the_default_port_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_redis(tmp_path / "theirs") as theirs, closing(redis.Redis.from_url(theirs.url)) as client:
        client.config_set("requirepass", "secret")
        monkeypatch.setattr(embedded_redis, "DEFAULT_PORT", port_of(theirs.url))
        with ensure_redis(None, tmp_path / "ours") as ours:
            assert ours.url != theirs.url
            assert answers(ours.url)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-\xff\xfe\r\n", b"+hello\r\n", b""])
def test_another_program_at_the_default_port_is_left_alone(tmp_path: Path, default_port: int, reply: bytes) -> None:
    with listener(default_port, reply), ensure_redis(None, tmp_path) as service:
        assert port_of(service.url) != default_port
        assert answers(service.url)


def test_a_port_lost_at_the_last_moment_is_replaced(tmp_path: Path, default_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers_of_is_free = iter([True])
    really_free = redis_server.is_free
    monkeypatch.setattr(embedded_redis, "is_free", lambda port: next(answers_of_is_free, None) or really_free(port))
    with listener(default_port, b""), ensure_redis(None, tmp_path) as service:
        assert next(answers_of_is_free, None) is None
        assert answers(service.url)


def test_another_process_finds_the_running_server_at_any_port(tmp_path: Path, default_port: int) -> None:
    with listener(default_port, b""), ensure_redis(None, tmp_path) as service:
        with command(default_port, "--data-dir", tmp_path) as (other, url):
            assert url == service.url
            assert other.wait(10) == 0
        assert answers(service.url)


def test_two_that_start_at_once_share_one_server(tmp_path: Path, default_port: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        services = list(pool.map(lambda _: ensure_redis(None, tmp_path), range(4)))
    try:
        assert len({service.url for service in services}) == 1
        assert sum(service.process is not None for service in services) == 1
    finally:
        for service in services:
            service.stop()


def test_a_directory_in_use_is_refused_to_a_server_of_its_own(tmp_path: Path) -> None:
    with start_redis(tmp_path), pytest.raises(RedisUnavailable, match="in use by another Redis"):
        start_redis(tmp_path)


@pytest.mark.parametrize(
    "record",
    [
        b"not json",
        b"{}",
        json.dumps({"url": "redis://127.0.0.1:1/0", "pid": 1, "owner": 1}).encode(),
        json.dumps({"url": "nonsense", "pid": 1, "owner": 1}).encode(),
    ],
)
def test_a_stale_record_is_ignored(tmp_path: Path, default_port: int, record: bytes) -> None:
    home = tmp_path / "redis"
    home.mkdir()
    (home / redis_server.RECORD).write_bytes(record)
    with ensure_redis(None, tmp_path) as service:
        assert service.process is not None


def test_a_record_whose_port_another_redis_took_is_ignored(tmp_path: Path, default_port: int) -> None:
    with start_redis(tmp_path / "theirs") as theirs:
        home = tmp_path / "ours" / "redis"
        home.mkdir(parents=True)
        (home / redis_server.RECORD).write_text(json.dumps({"url": theirs.url, "pid": os.getpid(), "owner": os.getpid()}))
        with ensure_redis(None, tmp_path / "ours") as ours:
            assert ours.url != theirs.url


def test_the_server_ends_when_its_owner_is_killed(tmp_path: Path, default_port: int) -> None:
    with command(default_port, "--data-dir", tmp_path) as (owner, url):
        assert answers(url)
        owner.kill()
        wait_until(lambda: not answers(url))


def test_the_next_one_starts_at_once_when_the_owner_was_killed(tmp_path: Path, default_port: int) -> None:
    with command(default_port, "--data-dir", tmp_path) as (owner, _):
        owner.kill()
        owner.wait()
        with ensure_redis(None, tmp_path) as service:
            assert service.process is not None
            assert answers(service.url)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_its_server_when_told_to_end(tmp_path: Path, default_port: int, ending: signal.Signals) -> None:
    with command(default_port, "--data-dir", tmp_path) as (owner, url):
        owner.send_signal(ending)
        assert owner.wait(10) == 0
        assert not answers(url)
        assert not (tmp_path / "redis" / redis_server.RECORD).exists()


def test_the_command_keeps_its_data_in_var_by_default(tmp_path: Path, default_port: int) -> None:
    with command(default_port, cwd=tmp_path) as (_, url):
        assert answers(url)
        assert (tmp_path / "var" / "redis" / redis_server.RECORD).exists()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with start_redis(tmp_path) as service:
        assert service.process is not None
        assert os.getsid(service.process.pid) != os.getsid(0)


def test_a_server_started_in_a_thread_outlives_the_thread(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        service = pool.submit(start_redis, tmp_path).result()
    with service:
        assert answers(service.url)


def live_processes_of_group(group: int) -> list[str]:
    """The process table's lines of one process group, without those that have ended and wait for init to take note."""
    lines = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, its_group, *_ = status.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state != "Z":
                lines.append(status.read_text())
    return lines


def test_nothing_is_left_running_after_a_stop(tmp_path: Path) -> None:
    service = start_redis(tmp_path)
    process = service.process
    assert process is not None
    service.stop()
    wait_until(lambda: not live_processes_of_group(process.pid))


def test_without_any_server_the_refusal_says_what_to_install(tmp_path: Path, default_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "_candidates", lambda: iter(()))
    with pytest.raises(RedisUnavailable, match=r"apt install redis-server.*brew install redis.*WSL.*REDIS_URL"):
        ensure_redis(None, tmp_path)


@pytest.mark.parametrize(("script", "reason"), [("echo 'Redis server v=5.0.14'", "older than 6.2"), ("exit 1", "does not run")])
def test_an_unusable_server_is_named(tmp_path: Path, default_port: int, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    monkeypatch.setattr(redis_server, "_candidates", lambda: iter([binary]))
    with pytest.raises(RedisUnavailable, match=f"redis-server \\({reason}\\)"):
        ensure_redis(None, tmp_path)


def test_a_server_on_the_path_comes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\necho 'Valkey server v=8.0.1 sha=00000000:0'\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "_version", lambda _: (8, 0))
    assert redis_server.find_server() == binary


def test_a_server_that_does_not_come_up_shows_its_log(tmp_path: Path, default_port: int) -> None:
    broken = tmp_path / "redis" / "appendonly.aof"
    broken.parent.mkdir()
    broken.write_bytes(b"this is no append-only file\r\n" * 3)
    manifest = broken.parent / "appendonlydir" / "appendonly.aof.manifest"  # where Redis 7 and newer look
    manifest.parent.mkdir()
    manifest.write_text("nonsense\n")
    with pytest.raises(RedisUnavailable, match=r"did not come up. The end of .*redis\.log:\n"):
        ensure_redis(None, tmp_path)
    assert not answers(f"redis://127.0.0.1:{default_port}")
