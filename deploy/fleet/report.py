"""The end of a run: every host in a table on standard error, and in the files that the settings name."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from deploy.fleet import repeat_filter, report_files, report_table
from deploy.fleet.report_row import Row, rows_of
from deploy.hosts.run_record import RunRecord, record_of
from deploy.hosts.ssh.connection import Unreachable
from deploy.setting_rules import REPORT

BUILDERS = "builders"


class Report(BaseStateCallback):
    """Told by pyinfra what happens to each host. The last host that ends, ends the run."""

    @staticmethod
    def host_before_connect(state: State, host: Host) -> None:
        record_of(host).start_clock()

    @staticmethod
    def host_connect(state: State, host: Host) -> None:
        record_of(host).stop_clock()

    @staticmethod
    def host_connect_error(state: State, host: Host, error: Any) -> None:
        record = record_of(host)
        record.stop_clock()
        record.unreachable = error.reason if isinstance(error, Unreachable) else str(error)
        if all(record_of(one).unreachable for one in of_the_run(state)):
            print_report(state)  # there is nobody whose end could be waited for

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        record_of(host).start_clock()

    @staticmethod
    def operation_host_success(state: State, host: Host, op_hash: str, retry_count: int = 0) -> None:
        record_of(host).stop_clock()

    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        record_of(host).stop_clock()
        if not state.get_op_data_for_host(host, op_hash).global_arguments["_ignore_errors"]:
            state.failed_hosts.add(host)  # with --no-wait pyinfra forgets to, and would end with status 0

    @staticmethod
    def host_disconnect(state: State, host: Host) -> None:
        record_of(host).ended = True
        if all(record_of(one).ended for one in state.activated_hosts):
            print_report(state)


def listen_to_run(state: State) -> None:
    """Has the run end with the report. A second call changes nothing."""
    if not any(isinstance(one, Report) for one in state.callback_handlers):
        state.add_callback_handler(Report())


def of_the_run(state: State) -> list[Host]:
    """The hosts that --limit and --exclude leave."""
    return [host for host in state.inventory if state.is_host_in_limit(host)]


def print_report(state: State) -> None:
    """Prints the table and writes the files, if the run was a deploy: a run that asks for facts leaves no records."""
    rows = rows_of(state, repeat_filter.LAST_WORDS)
    if not any(is_of_deploy(row.record) for row in rows):
        return
    builders = [host.name for host in of_the_run(state) if BUILDERS in host.groups]
    print("\n" + "\n".join(report_table.report_lines(rows, builders)), file=sys.stderr, flush=True)
    for setting, render in FORMATS.items():
        for name, told in by_file(setting, state, rows).items():
            save_report(name, render(told, report_table.retry_options(told, builders)))


def is_of_deploy(record: RunRecord) -> bool:
    """Whether a run has begun to do something for the host, or could not."""
    return bool(record.prepared or record.reason or record.model or record.before or record.unreachable)


FORMATS = {"report_json": report_files.as_json, "report_junit": report_files.as_junit}


def by_file(setting: str, state: State, rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows by the file that their hosts' settings name."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if name := state.inventory.get_host(row.host).data.get(setting):
            found.setdefault(str(name), []).append(row)
    return found


def save_report(name: str, text: str) -> None:
    """Writes a report. One line says of a report that it cannot be written, and the run goes on."""
    wrong = "" if REPORT.holds(name) else f"it must be {REPORT.text}"  # of boards without a connection nobody asked
    try:
        if not wrong:
            report_files.write_whole(Path(name).expanduser(), text)
    except OSError as error:
        wrong = error.strerror or str(error)
    if wrong:
        print(f"The report {name} cannot be written: {wrong}", file=sys.stderr, flush=True)


def begin_host(state: State, host: Host) -> None:
    """Has the run end with the report, and drops the host's reports of the last run: should this run come to no end,
    they would be taken for its own.
    """
    listen_to_run(state)
    for name in (str(host.data.get(setting) or "") for setting in FORMATS):
        if name and REPORT.holds(name):
            with suppress(OSError):
                Path(name).expanduser().unlink()


def end_host(host: Host) -> None:
    """Notes that the run knows all that it is to do on the host."""
    record_of(host).prepared = True
