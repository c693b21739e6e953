"""A model from a Hugging Face hub, brought to the controller once for any number of targets, verified by us.

The library gives address, token, endpoint, metadata and errors; it hashes nothing on its HTTP path and forgets a
partial download between processes, so the bytes go through transfer.py into a part named by the pinned sha256.

Plain HTTP, not Xet: hf_xet's Rust threads block pyinfra's gevent loop, take the data from other hosts than
HF_ENDPOINT and cannot go on in the next process. The hub serves every file under 50 GB over HTTP as well.
"""

import errno
import queue
import re
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import HfFileMetadata

from deploy.controller.files import sha256_of
from deploy.controller.progress import Say, say_line
from deploy.errors import BoardllamaError
from deploy.models.file_turn import take_turn
from deploy.models.hub.client import hub_address, hub_headers, hub_name, is_offline
from deploy.models.hub.hub_model import HubModel
from deploy.models.hub.patience import HubPatience
from deploy.models.hub.refusals import explain_refusal, one_line
from deploy.models.hub.transfer import Download
from deploy.models.receipt import accept_part, has_receipt, is_verified
from deploy.setting_rules import SHA256

MIRRORS = 3  # hubs that may send on to the next
# What the client raises for an answer that is none.
NO_ANSWER = (httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled, TimeoutError)
HUB_ERRORS = (*NO_ANSWER, ValueError)
ANSWER_WITHIN = 20.0  # seconds for the first answer: name lookup and all addresses of the hub together


def fetch_hub_model(model: HubModel, progress: Say = say_line) -> Path:
    """The verified file on this controller: at once when it is there, else downloaded (or resumed) and checked.

    Any number of greenlets, threads and processes may ask at once: one transfers, the others wait for it.
    Raises BoardllamaError, in one line; what was there before is untouched, an interrupted download is kept.
    """
    try:
        if not has_receipt(model.path, model.sha256, model.size):
            model.path.parent.mkdir(parents=True, exist_ok=True)
            with take_turn(model.path.with_name("lock"), model.part, progress):
                if not is_verified(model.path, model.sha256, model.size):
                    _bring_file(model, progress)
    except OSError as exc:
        raise BoardllamaError(_explain_disk(model, exc)) from exc
    return model.path


def _bring_file(model: HubModel, progress: Say) -> None:
    """Fills the part and accepts it. A part kept from earlier that proves damaged (power cut) costs a second round."""
    kept = _part_size(model)
    if not kept:
        _copy_from_library_cache(model)
    if _part_size(model) != model.size:
        _download_part(model, progress)
    progress(f"{model.path.name}: checking its sha256")
    got = sha256_of(model.part)
    if got == model.sha256:
        return accept_part(model.part, model.path, model.sha256)
    model.part.unlink()
    if not kept:
        raise BoardllamaError(
            f"{model.file} from {hub_name()} has the sha256 {got}, expected {model.sha256}: deleted; check the pin"
        )
    progress(f"{model.path.name}: the part kept from an earlier run was damaged, downloading all of it")
    return _bring_file(model, progress)


def _part_size(model: HubModel) -> int:
    """Bytes that earlier runs left in the part."""
    return model.part.stat().st_size if model.part.exists() else 0


def _copy_from_library_cache(model: HubModel) -> None:
    """Fills the part from the cache of `hf download`, where the pinned file is: this needs no network."""
    found = try_to_load_from_cache(model.repo, model.file, revision=model.revision)
    if isinstance(found, str) and sha256_of(Path(found)) == model.sha256:
        _check_space(model)
        shutil.copyfile(found, model.part)


def _download_part(model: HubModel, progress: Say) -> None:
    if is_offline():
        raise BoardllamaError(f"{model.file} is not cached and HF_HUB_OFFLINE is set: unset it or give a local file")
    url = hub_url(model.repo, model.file, model.revision)
    if _part_size(model) > model.size:
        model.part.unlink()
    _check_space(model)
    patience = HubPatience(model.path.name, progress)
    try:
        _check_promise(model, _ask_promise(url, patience))
        resumed = f", going on at {_part_size(model) / 1e6:.0f} MB" if _part_size(model) else ""
        progress(f"{model.path.name}: {model.size / 1e6:.0f} MB from {hub_name()}{resumed}")
        Download(url, hub_headers(), model.part, model.size, model.path.name).fill_part(progress, patience)
    except HUB_ERRORS as exc:
        raise BoardllamaError(explain_refusal(model.repo, model.file, model.revision, exc)) from exc


def hub_url(repo: str, file: str, revision: str) -> str:
    """The address of a file on the user's hub. Raises BoardllamaError."""
    return str(hf_hub_url(repo, file, revision=revision, endpoint=hub_address()))


def ask_hub(repo: str, file: str, revision: str, say: Say) -> HfFileMetadata:
    """What the hub says of a file, of which nothing is fetched. Raises BoardllamaError, in one line."""
    if is_offline():
        raise BoardllamaError(f"HF_HUB_OFFLINE is set, so no hub can be asked for {file}: unset it")
    try:
        return _ask_promise(hub_url(repo, file, revision), HubPatience(file, say))
    except HUB_ERRORS as exc:
        raise BoardllamaError(explain_refusal(repo, file, revision, exc)) from exc


def _ask_promise(url: str, patience: HubPatience) -> HfFileMetadata:
    """What the hub says of the file. A mirror may send on to another hub, which never sees the token."""
    promise = _ask_patiently(partial(get_hf_file_metadata, url, headers=hub_headers()), patience)
    for _ in range(MIRRORS):
        if promise.commit_hash or promise.location in ("", url):
            break
        url = urljoin(url, promise.location)
        promise = _ask_patiently(partial(get_hf_file_metadata, url, token=False), patience)
    return promise


def _ask_patiently(ask: Callable[[], HfFileMetadata], patience: HubPatience) -> HfFileMetadata:
    """What `ask` returns, asked again while the hub is busy or out of order. Raises HfHubHTTPError."""
    while True:
        try:
            return _ask_within(ANSWER_WITHIN, ask)
        except HfHubHTTPError as error:
            if not patience.wait_as_asked(error.response) and not patience.try_again(error.response):
                raise


def _check_promise(model: HubModel, promise: HfFileMetadata) -> None:
    """Raises BoardllamaError, before any byte is transferred, when the hub's file is not the pinned one."""
    where = f"{hub_name()} says that {model.file}"
    if promise.commit_hash is None:
        raise BoardllamaError(f"{hub_name()} answers, but not as a hub: check HF_ENDPOINT, a proxy or a login page")
    if promise.size is not None and promise.size != model.size:
        raise BoardllamaError(f"{where} has {promise.size} bytes, the pin {model.size}: truncated, or a wrong pin")
    etag = promise.etag or ""
    if re.fullmatch(SHA256, etag) and etag != model.sha256:
        raise BoardllamaError(f"{where} has the sha256 {etag}, expected {model.sha256}: nothing loaded, check the pin")


def _check_space(model: HubModel) -> None:
    needed = model.size - _part_size(model)
    free = shutil.disk_usage(model.path.parent).free
    if needed > free:
        figures = f"needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free in {model.path.parent}"
        raise BoardllamaError(f"{model.file} {figures}: make room, or set BOARDLLAMA_CACHE to a larger disk")


def _ask_within(seconds: float, ask: Callable[[], HfFileMetadata]) -> HfFileMetadata:
    """What `ask` returns. Raises TimeoutError after so many seconds, whatever it is that takes them.

    HTTP timeouts bound neither the name lookup nor the sum over all addresses of a hub.
    """
    answers: queue.Queue[HfFileMetadata | Exception] = queue.Queue()

    def work() -> None:
        try:
            answers.put(ask())
        except Exception as exc:
            answers.put(exc)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _explain_disk(model: HubModel, exc: OSError) -> str:
    where = exc.filename or model.path.parent
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space for {model.file} ({model.size / 1e6:.0f} MB) in {model.path.parent}: make room and run again"
    return f"{where} cannot be used ({exc.strerror or one_line(exc)}): mend it, or set BOARDLLAMA_CACHE"
