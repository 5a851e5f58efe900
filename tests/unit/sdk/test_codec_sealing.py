"""Compression and encryption of what the store keeps."""

import base64
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resumable import (
    AsyncJob,
    EncryptionKeyError,
    Job,
    JobDefinition,
    Paused,
    StepContext,
    UnreadableResult,
    UnstorableResult,
    job,
)
from resumable.sdk import codec
from resumable.sdk.codec import encryption
from resumable.sdk.codec.compression import THRESHOLD, compressed, decompressed
from resumable.sdk.codec.encryption import ENCRYPTION_KEYS, key_id
from resumable.state.record import Encoded, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import NewRun, NewSignal
from tests.unit.sdk.effects import Effects

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
LARGE = {"rows": ["the same text, again and again"] * 1000}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(ENCRYPTION_KEYS, raising=False)
    encryption.keyring.cache_clear()
    yield
    encryption.keyring.cache_clear()


def use_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv(ENCRYPTION_KEYS, ",".join(keys))
    encryption.keyring.cache_clear()


def round_trip(value: Any) -> Any:
    return codec.decode(codec.encode(value, Any, of="x"), Any, of="x")


def test_a_large_value_is_compressed_and_comes_back() -> None:
    stored = codec.encode(LARGE, Any, of="x")
    assert stored.codec == "json+zlib"
    assert len(stored.data) < 2000
    assert codec.decode(stored, Any, of="x") == LARGE


def test_a_small_value_and_one_that_gets_no_smaller_stay_as_they_are() -> None:
    assert codec.encode("a" * 100, str, of="x").codec == "json"
    noise = base64.b85encode(os.urandom(THRESHOLD * 2)).decode()
    assert compressed(os.urandom(THRESHOLD)) is None
    assert round_trip(noise) == noise


def test_the_limit_counts_before_compression() -> None:
    with pytest.raises(UnstorableResult, match=r"the limit is 20,000"):
        codec.encode(LARGE, Any, of="x", limit=20_000)


def test_records_from_before_compression_stay_readable() -> None:
    assert codec.decode(Encoded("json", b'{"a": 1}'), dict[str, int], of="x") == {"a": 1}


def test_data_that_expands_without_end_is_refused_before_it_fills_the_memory() -> None:
    bomb = zlib.compress(b"0" * 1_000_000)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        decompressed(bomb, limit=1000)
    assert len(decompressed(bomb, limit=1_000_000)) == 1_000_000


@pytest.mark.parametrize("damage", [b"", b"no zlib", zlib.compress(os.urandom(50))[:-5]])
def test_damaged_compressed_data_names_the_step(damage: bytes) -> None:
    with pytest.raises(UnreadableResult, match="step 'load': the result can't be read: its compressed data is"):
        codec.decode(Encoded("json+zlib", damage), Any, of="step 'load': the result")


@pytest.mark.parametrize("value", ["secret", LARGE, None, [1, 2]])
def test_with_a_key_nothing_of_a_value_can_be_seen_in_the_record(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    use_keys(monkeypatch, NEW)
    stored = codec.encode(value, Any, of="x")
    assert stored.codec.endswith(f"+aes256gcm:{key_id(base64.b64decode(NEW))}")
    assert b"secret" not in stored.data
    assert stored.data != codec.encode(value, Any, of="x").data  # who sees two records can't tell that they are equal
    assert codec.decode(stored, Any, of="x") == value


def test_keys_rotate_the_first_encrypts_and_each_decrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = codec.encode("from before", str, of="x")
    use_keys(monkeypatch, OLD)
    old = codec.encode("of the old key", str, of="x")
    use_keys(monkeypatch, NEW, OLD)
    new = codec.encode("of the new key", str, of="x")
    assert [codec.decode(each, str, of="x") for each in (plain, old, new)] == [
        "from before",
        "of the old key",
        "of the new key",
    ]
    use_keys(monkeypatch, NEW)
    assert codec.decode(new, str, of="x") == "of the new key"
    with pytest.raises(EncryptionKeyError, match=key_id(base64.b64decode(OLD))):
        codec.decode(old, str, of="x")


def test_what_was_changed_in_the_store_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, NEW)
    stored = codec.encode("secret", str, of="x")
    changed = stored.data[:-1] + bytes([stored.data[-1] ^ 1])
    for record in (Encoded(stored.codec, changed), Encoded(stored.codec.replace("json", "json+zlib"), stored.data)):
        with pytest.raises(UnreadableResult, match="damaged, or changed"):
            codec.decode(record, str, of="x")


@pytest.mark.parametrize(
    ("keys", "said"), [("no base64!", "key 1 is not base64"), (f"{NEW},{OLD[:20]}", "key 2 .*is not base64|key 2 has")]
)
def test_a_key_that_is_none_is_named_by_its_place_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, keys: str, said: str
) -> None:
    use_keys(monkeypatch, keys)
    with pytest.raises(EncryptionKeyError, match=said) as error:
        codec.encode(1, int, of="x")
    assert OLD[:10] not in str(error.value)
    assert "openssl rand -base64 32" in str(error.value)


@pytest.fixture
def secretive(effects: Effects) -> JobDefinition[..., str]:
    def load() -> str:
        effects.append("load")
        return "a secret result"

    def use(step: StepContext[str]) -> None:
        effects.append("use")
        step.save("a secret cursor")
        if effects.count("use") == 1:
            raise RuntimeError("once")

    @job("secretive")
    def secretive(j: Job, customer: str) -> str:
        result = j.step("load", load)
        j.payload["name"] = "a secret payload"
        j.step("use", use)
        return f"{result} of {customer}"

    return secretive


def records(store: SqlStore) -> list[Encoded]:
    run = store.get_run("r")
    assert run is not None
    values = [run.input, run.payload, run.result]
    values += [step.result for step in store.list_steps("r")]
    values += [cursor.value for cursor in store.list_cursors("r")]
    return [value for value in values if value is not None]


INPUT = {"customer": "a secret customer"}


def test_all_that_a_job_stores_is_encrypted_and_another_attempt_goes_on_from_it(
    monkeypatch: pytest.MonkeyPatch, store: SqlStore, secretive: JobDefinition[..., str], effects: Effects
) -> None:
    use_keys(monkeypatch, OLD)
    with pytest.raises(RuntimeError, match="once"):
        secretive.run(INPUT, id="r", store=store)
    use_keys(monkeypatch, NEW, OLD)
    assert secretive.run(INPUT, id="r", store=store) == "a secret result of a secret customer"
    assert effects == ["load", "use", "use"]
    found = records(store)
    assert len(found) >= 5
    assert all("+aes256gcm:" in record.codec and b"secret" not in record.data for record in found)


def test_without_the_key_the_run_is_paused_and_nothing_of_it_is_changed(
    monkeypatch: pytest.MonkeyPatch, store: SqlStore, secretive: JobDefinition[..., str], effects: Effects
) -> None:
    use_keys(monkeypatch, OLD)
    with pytest.raises(RuntimeError, match="once"):
        secretive.run(INPUT, id="r", store=store)
    before = records(store)
    use_keys(monkeypatch, NEW)
    with pytest.raises(Paused, match=f"encrypted with the key {key_id(base64.b64decode(OLD))}"):
        secretive.run(id="r", store=store)
    run = store.get_run("r")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.PAUSED, "EncryptionKeyMissing")
    assert records(store) == before
    assert effects == ["load", "use"]


def test_a_job_that_catches_everything_is_paused_all_the_same(
    monkeypatch: pytest.MonkeyPatch, store: SqlStore, effects: Effects
) -> None:
    @job("catches")
    def catches(j: Job) -> str:
        try:
            j.step("load", effects.of("load", "secret"))
        except Exception:  # noqa: BLE001 - as careless authors do
            return "without it"
        if len(effects) == 1:
            raise RuntimeError("once")
        return "done"

    use_keys(monkeypatch, OLD)
    with pytest.raises(RuntimeError, match="once"):
        catches.run(id="r", store=store)
    use_keys(monkeypatch, NEW)
    with pytest.raises(Paused, match="step 'load': the result can't be read"):
        catches.run(id="r", store=store)


def test_a_list_of_keys_that_is_wrong_pauses_the_run_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, store: SqlStore, effects: Effects
) -> None:
    @job("early")
    def early(j: Job) -> None:
        effects.append("ran")

    use_keys(monkeypatch, "abc")
    with pytest.raises(Paused, match="key 1"):
        early.run(id="r", store=store)
    assert effects == []


@pytest.mark.parametrize("kind", ["map", "async", "cursor", "wait", "result"])
def test_however_a_value_is_read_a_missing_key_pauses_the_run(
    monkeypatch: pytest.MonkeyPatch, store: SqlStore, effects: Effects, kind: str
) -> None:
    def once() -> None:
        if not effects:
            effects.append("failed")
            raise RuntimeError("once")

    def saves(step: StepContext[str]) -> None:
        if step.cursor is None:
            step.save("secret")
        once()

    @job("plain")
    def plain(j: Job) -> None:
        match kind:
            case "map":
                j.map("double", str, [1, 2, 3])
            case "cursor":
                j.step("saves", saves)
            case "wait":
                assert j.wait("approval", str).payload == "secret"
            case _:
                j.step("load", str) if not effects else j.result("load")
        once()

    async def load() -> str:
        return "secret"

    @job("awaited")
    async def awaited(j: AsyncJob) -> None:
        await j.step("load", load)
        once()

    work: JobDefinition[..., None] = awaited if kind == "async" else plain
    use_keys(monkeypatch, OLD)
    if kind == "wait":
        store.create_run(NewRun(id="r", namespace="default", name="plain"))
        store.send_signal("r", NewSignal(id="s", name="approval", payload=codec.encode("secret", str, of="x")))
    with pytest.raises(RuntimeError, match="once"):
        work.run(id="r", store=store)
    use_keys(monkeypatch, NEW)
    with pytest.raises(Paused, match="encrypted with the key"):
        work.run(id="r", store=store)
    run = store.get_run("r")
    assert run is not None
    assert (run.status, run.reason) == (RunStatus.PAUSED, "EncryptionKeyMissing")
    assert effects == ["failed"]


def test_a_large_result_of_a_run_by_hand_is_printed_as_json(
    store: SqlStore, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    @job("large")
    def large(j: Job) -> list[int]:
        return list(range(5000))

    with pytest.raises(SystemExit):
        large.main(["--id", "r"])
    assert json.loads(capsys.readouterr().out) == list(range(5000))
