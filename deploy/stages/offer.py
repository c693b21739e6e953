"""Offer: the release that a deploy would bring to the boards of a kind, handed to a channel, which they pull from."""

from collections.abc import Callable

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.host import Host

from deploy.build.artifact import Build
from deploy.errors import BoardllamaError
from deploy.hosts.offer import Offer, note_offer
from deploy.hosts.release import build_files
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import board_of, build_for, settings_of, why_refused
from deploy.settings import Settings
from deploy.stages.model import choose_model, fetch_models, models_to_bring
from deploy.stages.service import wanted_release

# Is given what is to be offered. Returns the step that offers it; None where that is done.
Publish = Callable[[Host, Offer], Callable[[Remote], None] | None]


@stage("Channel")
def offer_release(publish: Publish) -> None:
    """Makes the release of the host's boards, with its models, and has it published."""
    settings = settings_of(host)
    build = build_for(host, settings)
    settings = choose_model(settings, build.cpu if build else None)
    if build:
        fetch_models(name="Fetch the model to the controller", settings=settings, cpu=build.cpu)
    publish_offer(name="Publish the release", settings=settings, build=build, publish=publish)


@operation()
def publish_offer(settings: Settings, build: Build | None, publish: Publish) -> Commands:
    """No change when the channel offers exactly this release, and is signed for long enough."""
    if build is None:
        yield refuse(why_refused(host, settings) or "no build fits these boards")
        return
    try:
        note_offer(host, offer := offer_of(settings, build))
        step = publish(host, offer)
    except (BoardllamaError, OSError) as error:
        yield refuse(error)
        return
    if step:
        yield HostStep(step)
    else:
        host.noop("the channel offers it")


def offer_of(settings: Settings, build: Build) -> Offer:
    """The offer that these settings mean. Raises as `wanted_release`."""
    release = wanted_release(settings, build)
    return Offer(
        kind=host.connector.data["kind"],
        release=release,
        programs=build_files(build, release.artifact),
        models=tuple(models_to_bring(settings, build.cpu, board_of(host))),
    )
