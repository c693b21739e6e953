"""What a monitor is told: taken by the programs themselves, and its alerts by promtool's own unit tests."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import BoardllamaError
from tests.board.test_board import FIGURES
from tests.engines import engine
from tests.monitor.monitored import PASSWORD, MonitorFolder, a_board, told
from tests.monitor.selectors import named_figures

BOARDS = [a_board("kitchen", keyed=True), a_board("@ssh/hall 2", exporter=True), a_board("lab", port=0, keyed=True)]
EMAIL = {
    "monitor_email": "ops@example.org, night@example.org",
    "monitor_email_from": "fleet@example.org",
    "monitor_mail_server": "mail.example.org:587",
    "monitor_mail_user": "fleet",
    "monitor_mail_password": "swordfish swordfish",
}
TOLD: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": {
        "monitor_host": "0.0.0.0",
        "monitor_password": PASSWORD,
        "monitor_webhook": "https://hooks.example.org/x?y=1",
        **EMAIL,
    },
    "IPv6": {"monitor_host": "fd00::7", "monitor_password": PASSWORD},
}


@pytest.fixture(scope="module", params=TOLD)
def monitor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MonitorFolder:
    """A monitor that is told one of these."""
    gateways = {'gate "1"': "[fd00::9]:8405"}
    return MonitorFolder(tmp_path_factory.mktemp("monitor"), told(**TOLD[request.param]), BOARDS, gateways)


def test_the_programs_take_every_file_that_a_deploy_has_them_check(monitor: MonitorFolder) -> None:
    checked = [file for file in monitor.files if file.before != "true"]
    assert len(checked) == 6
    for file in checked:
        program, *words = file.before.split("checked ")[1].split()
        command = [program if program == "python3" else engine(program), *words, str(monitor.led(file.dest))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (file.dest, done.stdout, done.stderr)


def test_each_board_with_a_key_is_asked_with_a_file_of_its_own(tmp_path: Path) -> None:
    monitor = MonitorFolder(tmp_path, told(), BOARDS)
    text = next(file.content for file in monitor.files if file.dest.endswith("prometheus.yml"))
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    assert jobs["llama kitchen"]["authorization"]["credentials_file"].endswith("/keys/kitchen")
    assert "llama lab" not in jobs, "its server listens on its own loopback alone"


def test_no_file_that_a_deploy_shows_holds_a_secret(tmp_path: Path) -> None:
    monitor = MonitorFolder(tmp_path, told(**TOLD["everything"]), BOARDS)
    shown = "".join(file.content for file in monitor.files)
    assert PASSWORD not in shown and "swordfish" not in shown


@pytest.mark.parametrize(
    "data, said",
    [
        ({"monitor_host": "0.0.0.0"}, "beyond loopback, and monitor_password is not set"),
        ({"monitor_host": "monitor"}, "must be an IP address of the monitor"),
        ({"monitor_password": "short"}, "monitor_password must be 12 to 72 printable characters"),
        ({"monitor_webhook": "hooks.example.org"}, "monitor_webhook is 'hooks.example.org': must be an http"),
        (EMAIL | {"monitor_email": "ops"}, "monitor_email holds 'ops'"),
        (EMAIL | {"monitor_mail_server": "mail.example.org"}, "must be host:port"),
        (EMAIL | {"monitor_mail_password": None}, "go together"),
    ],
)
def test_settings_that_break_a_rule_are_refused_with_what_to_do(data: dict[str, Any], said: str) -> None:
    with pytest.raises(BoardllamaError, match=said):
        told(**data)


def test_the_hash_of_the_password_is_the_same_at_each_deploy_and_another_on_each_monitor() -> None:
    settings = told(monitor_password=PASSWORD)
    assert settings.password_hash("one") == settings.password_hash("one") != settings.password_hash("other")


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    tests = Path(__file__).with_name("boardllama.rules.test.yml")
    done = subprocess.run([engine("promtool"), "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_test() -> None:
    rules = yaml.safe_load(Path("deploy/fleet/monitor/boardllama.rules.yml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    tests = yaml.safe_load(Path(__file__).with_name("boardllama.rules.test.yml").read_text())["tests"]
    fired = [one["alertname"] for test in tests for one in test.get("alert_rule_test", ()) if one["exp_alerts"]]
    assert sorted(fired) == sorted(alerts)


def test_every_alert_sees_the_figures_of_its_own_moment() -> None:
    """An alert whose figure is made in another group sees the figure of the moment before, now and then."""
    for group in yaml.safe_load(Path("deploy/fleet/monitor/boardllama.rules.yml").read_text())["groups"]:
        made: set[str] = set()
        for rule in group["rules"]:
            assert set(re.findall(r"\b(?:board|gateway):[\w:]+", rule["expr"])) <= made, rule
            made.add(rule.get("record", ""))


def test_the_board_suite_asks_a_server_for_every_figure_that_is_looked_at() -> None:
    assert named_figures("llamacpp:") == FIGURES
