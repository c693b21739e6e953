"""What a served model can, as its server says it and as the doctor shows it."""

import pytest

from deploy.onboard.doctor.diagnosis import check_serving
from deploy.onboard.doctor.lights import Light
from deploy.onboard.server.abilities import abilities_of
from deploy.onboard.service import CHAT, EMBED, RERANK
from tests.unit.test_doctor import WELL, changed

DEAF = {"vision": False, "video": False, "audio": False}
TOOLS = {"supports_tools": True, "supports_tool_calls": True}


@pytest.mark.parametrize(
    ("props", "role", "said"),
    [
        ({"chat_template": "{{ messages }}", "chat_template_caps": {}, "modalities": DEAF}, CHAT, ("chat",)),
        ({"chat_template": "{{ tools }}", "chat_template_caps": TOOLS}, CHAT, ("chat", "tools")),
        ({"chat_template": "{% if enable_thinking %}", "modalities": DEAF}, CHAT, ("chat", "thinking")),
        ({"chat_template": "<think>", "chat_template_caps": TOOLS}, CHAT, ("chat", "tools", "thinking")),
        ({"modalities": DEAF | {"vision": True, "audio": True}}, CHAT, ("chat", "vision", "audio")),
        ({}, CHAT, ("chat",)),
        ({"chat_template_caps": TOOLS}, EMBED, ("embeddings",)),
        ({}, RERANK, ("scores",)),
    ],
)
def test_abilities_are_what_the_server_says(props: dict[str, object], role: str, said: tuple[str, ...]) -> None:
    assert abilities_of(props, role) == said


def test_the_doctor_shows_what_the_model_can_and_what_was_told_beside_the_settings() -> None:
    facts = changed(WELL, abilities=("chat", "tools"), extra_arguments=("--seed", "7"))
    finding = check_serving(facts, facts.services[0])
    assert finding[0] is Light.GOOD
    assert finding[1] == "answers; serves tinyllama.gguf; can: chat, tools; extra arguments: --seed 7"
