"""The API key of a board, for the hosts that ask the board: a monitor, a gateway.

It is read over the board's own connection, and shows neither in a command line nor in what pyinfra prints.
"""

from deploy.hosts.facts.target import shell_words
from deploy.hosts.remote import Remote
from deploy.onboard.service import OLLAMA, Service


def read_board_key(remote: Remote, service: Service = OLLAMA) -> str:
    """The key that the board's server asks for; "" for a server that asks for none.

    Raises OSError, SSHException, EOFError when the connection breaks.
    """
    talk = remote.talk(f"grep -v -e '^#' -e '^[[:space:]]*$' -m 1 {shell_words([str(service.api_key)])}")
    try:
        return talk.line().strip()
    finally:
        talk.end()
