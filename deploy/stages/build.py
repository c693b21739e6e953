"""llama.cpp on the builder: a build for every CPU of the run's targets, made and proven before a target is asked."""

from collections.abc import Iterable

from pyinfra.api.operation import operation

from deploy.build.artifact import Build, is_there
from deploy.build.builder import Builder
from deploy.build.compile import make_artifact
from deploy.errors import BoardllamaError
from deploy.hosts.remote import Commands, HostStep
from deploy.hosts.stage_decorator import stage

# What programs on the builder say of the network between them and the package indexes, and the cure.
ADVICE = {
    "CERTIFICATE_VERIFY_FAILED": "set SSL_CERT_FILE there to the PEM file of the authority of your network's proxy",
    "407 Proxy": "the proxy wants a login: set HTTPS_PROXY and HTTP_PROXY there to http://USER:PASSWORD@HOST:PORT",
    "HTTP 429": "it was asked too often: run again in some minutes",
}


@stage("Build")
def llama_builds(builds: Iterable[Build]) -> None:
    """Makes every build that is not there, on this host, in one operation.

    pyinfra puts the first operation of every host before the second of any: were each build an operation of its own,
    boards would go on before the last ones. A build that fails is reported and the next one starts: its own targets
    stop in require_artifact, others go on.
    """
    if wanted := tuple(builds):
        names = ", ".join(build.cpu.name for build in wanted)
        make_all(name=f"Compile llama.cpp for {names}", builds=wanted, _continue_on_error=True, _ignore_errors=True)


@operation()
def make_all(builds: tuple[Build, ...]) -> Commands:
    """Each artifact is proven and complete when its step succeeds; no change when all were there already."""
    for build in builds:
        if not is_there(build):
            yield build_step(build)


def build_step(build: Build) -> HostStep:
    """The step that makes one build."""
    return HostStep(lambda remote: attempt_build(build, Builder(remote.host)))


def attempt_build(build: Build, builder: Builder) -> None:
    """Makes the build. Raises BoardllamaError with the cpu's name in front: several builds report into one stream."""
    try:
        make_artifact(build, builder)
    except (BoardllamaError, OSError) as error:
        raise BoardllamaError(f"{build.cpu.name}: {with_network_advice(str(error))}") from None


def with_network_advice(said: str) -> str:
    """The message of a failed build, with what to do where the builder's network is the cause."""
    advice = next((advice for sign, advice in ADVICE.items() if sign in said), "")
    return f"{said}; {advice}" if advice else said
