"""From a bare board to a verified LLM appliance: the table of contents. `pyinfra inventory/qemu.py deploy.py`"""

from pyinfra import host

from deploy import llama, model, service, verify
from deploy.build.compile import llama_builds
from deploy.target import build_for, builds_wanted, refusal, settings_of

if "builders" in host.groups:
    llama_builds(builds_wanted())

if "targets" in host.groups:
    settings = settings_of(host)
    llama.install(build_for(host, settings), refusal(host, settings))
    model.install(settings)
    service.configure(settings)
    service.activate(settings)
    verify.healthy(settings)
