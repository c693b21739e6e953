"""From a bare board to a verified LLM appliance: the table of contents. `pyinfra inventory/qemu.py deploy.py`"""

from pyinfra import host, state

from deploy.fleet import report
from deploy.fleet.bundle.story import bundle_offers
from deploy.fleet.channel.publish import publish_release
from deploy.fleet.channel.subscribe import follow_channel
from deploy.fleet.gateway.gateway_stage import offer_board, serve_boards
from deploy.fleet.monitor.story import configure_monitor
from deploy.fleet.order import await_targets
from deploy.hosts.target import build_for, builds_wanted, settings_of, why_refused
from deploy.image.boards import BOARDS
from deploy.stages.activate import activate_release
from deploy.stages.build import llama_builds
from deploy.stages.llama import install_llama
from deploy.stages.model import choose_model, install_model
from deploy.stages.offer import offer_release
from deploy.stages.service import configure_service
from deploy.stages.system import configure_system
from deploy.stages.verify import verify_health

report.begin_host(state, host)

if "builders" in host.groups:
    llama_builds(builds_wanted())

if "targets" in host.groups:
    settings = settings_of(host)
    build = build_for(host, settings)
    install_llama(build, why_refused(host, settings))
    settings = choose_model(settings, build and build.cpu)
    install_model(settings, build)
    configure_service(settings, build)
    activate_release(settings, build)
    configure_system(settings, build)
    follow_channel(settings, build, BOARDS)
    verify_health()
    offer_board(settings, build)

if "channels" in host.groups:
    offer_release(publish_release)
    bundle_offers()

await_targets()

if "monitors" in host.groups:
    configure_monitor()

if "gateways" in host.groups:
    serve_boards()

report.end_host(host)
