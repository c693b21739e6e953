"""Every reader of strangers' bytes, by name."""

from tests.fuzz.file_readers import FILE_READERS
from tests.fuzz.fleet_readers import FLEET_READERS
from tests.fuzz.hub_readers import HUB_READERS
from tests.fuzz.reader import Reader
from tests.fuzz.talk_readers import TALK_READERS

READERS: dict[str, Reader] = {
    reader.name: reader for reader in (*FILE_READERS, *TALK_READERS, *HUB_READERS, *FLEET_READERS)
}
