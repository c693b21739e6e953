"""The service as a good citizen: it says when it serves, comes back by itself, and dies before the board does."""

import pytest

from deploy.onboard.service import OLLAMA
from tests.vm.machine import VirtualBoard
from tests.vm.test_bad_input import serves, until
from tests.vm.test_deploy import vm

__all__ = ["vm"]

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

SHOW = "systemctl show --value -p"
HEALTHY = until("curl -sf -m 2 http://127.0.0.1:11434/health >/dev/null")


def seconds(vm: VirtualBoard, command: str) -> float:
    """How long a command takes on the board, by its own clock."""
    return float(vm.run(f"s=$(date +%s%N); {command} >/dev/null; echo $((($(date +%s%N) - s) / 1000000))")) / 1000


def test_start_returns_when_the_server_answers(vm: VirtualBoard) -> None:
    vm.run(f"systemctl stop {UNIT}; systemctl start {UNIT}; curl -sf http://127.0.0.1:11434/health")
    assert serves(vm)


def test_start_fails_when_the_server_does_not_come_up(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s/"default_threads"/"default_thread"/\' {CONFIG}')
    assert vm.run(f"systemctl restart {UNIT} 2>&1; echo $?").endswith("1")
    assert vm.run(f"systemctl is-active {UNIT}; true") == "failed"


@pytest.mark.parametrize(("signal", "promise"), [("KILL", 10), ("SEGV", 10), ("STOP", 90)])
def test_it_serves_again_by_itself(vm: VirtualBoard, signal: str, promise: float) -> None:
    """The promise is in seconds; three times that is allowed here, as tests run on machines that do other things."""
    before = vm.board.process
    replaced = until(f"test $({SHOW} MainPID {UNIT}) -ne {before}")
    took = seconds(vm, f"kill -{signal} {before}; {replaced}; {HEALTHY}")
    print(f"SIG{signal}: {took:.1f} s")
    assert serves(vm)
    assert took < 3 * promise


def test_a_crash_loop_stops_and_status_says_why(vm: VirtualBoard) -> None:
    settled = until(f"systemctl is-active --quiet {UNIT} || systemctl is-failed --quiet {UNIT}")
    crash = f"kill -SEGV $({SHOW} MainPID {UNIT}); sleep 2; {settled}"
    vm.run(
        f"systemctl reset-failed {UNIT}; for _ in 1 2 3 4 5 6; do systemctl is-failed {UNIT} || {{ {crash}; }}; done"
    )
    status = vm.run(f"systemctl status {UNIT} --no-pager -l; true")
    assert vm.run(f"{SHOW} ActiveState {UNIT}") == "failed"
    assert "signal=SEGV" in status
    assert "Start request repeated too quickly" in status
    assert "the server crashed (SIGSEGV)" in vm.run(f"journalctl -b -u {UNIT} -n 15 -o cat")


# A thousand connections, each with half a request, for a minute.
CROWD = """
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = [socket.socket() for _ in range(1000)]
for one in held:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 11434))
end = time.monotonic() + 60
while time.monotonic() < end:
    for one in held:
        try:
            one.send(b"GET /health HTTP/1.1\\r\\n" if time.monotonic() + 50 < end else b"")
        except OSError:
            pass
    time.sleep(20)
"""
LONG = '{"prompt": "The", "max_tokens": 400, "ignore_eos": true}'


def test_a_crowd_ends_neither_the_server_nor_an_answer(vm: VirtualBoard) -> None:
    """Twice as long as a hang is suffered. A thread for each client would be more than the unit may have."""
    since, before = vm.run("date +%s"), vm.board.process
    # As on a board with half a gigabyte.
    vm.run(f"systemctl set-property --runtime {UNIT} TasksMax=332 MemoryMax=420M")
    try:
        asking = f"curl -sf -m 600 http://127.0.0.1:11434/v1/completions -d '{LONG}' >/tmp/long"
        vm.run(f"{asking} & sleep 2; python3 -c '{CROWD}' & sleep 40; boardllama-doctor >/tmp/doctor; wait")
        assert "connections to port 11434 are open" in " ".join(vm.run("cat /tmp/doctor").split())
        vm.run(HEALTHY)
        assert '"completion_tokens":400' in vm.run("cat /tmp/long")
        said = vm.run(f"journalctl -u {UNIT} --since @{since} -o cat --no-pager")
        assert vm.board.process == before, said
    finally:
        vm.run(f"rm -r /run/systemd/system.control/{UNIT}.d; systemctl daemon-reload")


def test_out_of_memory_ends_the_server_and_not_the_board(vm: VirtualBoard) -> None:
    boot = vm.run("cat /proc/sys/kernel/random/boot_id")
    told = until(f"journalctl -b -u {UNIT} -o cat | grep -q more.memory.than.the.unit")
    vm.run(f"systemctl set-property --runtime {UNIT} MemoryMax=4M MemorySwapMax=0; {told}")
    vm.run(f"systemctl revert {UNIT}; systemctl reset-failed {UNIT}; systemctl restart {UNIT}")
    assert serves(vm)
    assert vm.run("cat /proc/sys/kernel/random/boot_id") == boot
    assert int(vm.run(f"cat /proc/{vm.board.process}/oom_score_adj")) > 0


def test_beyond_loopback_only_the_named_networks_are_let_in(vm: VirtualBoard) -> None:
    options = ("server_host=0.0.0.0", "api_key=generate", "server_clients=198.51.100.0/24")
    done = vm.deploy(*(word for option in options for word in ("--data", option)))
    assert done.returncode == 0, done.said
    assert "198.51.100.0/24" in vm.run(f"systemctl show -p IPAddressAllow {UNIT}")
    address = vm.run("hostname -I | cut -d' ' -f1")
    assert vm.run(f"curl -s -m 3 -o /dev/null http://{address}:11434/health; echo $?") != "0"
    assert vm.run("curl -s http://127.0.0.1:11434/health") == '{"status":"ok"}'
    vm.run("rm /etc/ollama-cpp/api-key")
