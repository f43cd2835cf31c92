"""A stage's samples from real text through Megatron's datasets."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_plan import plan, stage

from trainer.data.loader import Loader
from trainer.plan import Plan, Source, Stage
from trainer.plan.position import place_of
from watchdog.vocabulary.errors import UsageError

pytestmark = pytest.mark.usefixtures("megatron")
LENGTH = 32
END = 256


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One long document beside 60 short ones, each of words of its own; and a second source."""
    root = tmp_path_factory.mktemp("texts")
    for number in range(60):
        (root / f"{number}.code").write_text("".join(f"{number}-{word} " for word in range(10 + number)))
    (root / "long.code").write_text("".join(f"long {word}; " for word in range(1500)))
    for number in range(10):
        (root / f"{number}.web").write_text(f"web {number} " * 60)
    return root


def of(texts: Path, *stages: Stage, held_out: float = 0.1, **changes: Any) -> Plan:
    sources = {name: Source(name=name, text=f"{texts}/*.{name}", held_out=held_out) for name in ("code", "web")}
    small = plan(*(stages or (stage(sequence_length=LENGTH),)), **changes)
    return replace(small, sources=sources)


def open_stage(plan: Plan, texts: Path, index: int = 0) -> Any:
    from trainer.data.stage_data import StageData

    return StageData.open(plan, index, texts / "data", is_builder=True)


def test_an_epoch_is_the_documents_behind_each_other_cut_and_shuffled(texts: Path) -> None:
    """Read back: sequences overlap by one token, so they can be laid behind each other again."""
    data = open_stage(of(texts), texts)
    size = data.num_sequences("code")
    epoch = data._training["code"]
    whole = np.concatenate([epoch.sequence(0)[:1], *(epoch.sequence(index)[1:] for index in range(size))])
    documents = bytes(np.where(whole == END, 0, whole).astype(np.uint8)).split(b"\0")
    held_out = data.held_out("code")
    known = {path.read_bytes() for path in texts.glob("*.code")}
    assert set(documents[:-1]) < known
    assert len(set(documents[:-1])) == len(documents) - 1 >= 54
    assert any(document.startswith(documents[-1]) for document in known)
    kept_back = [bytes(held_out.sample(index).tokens[:-1] % 256) for index in range(len(held_out))]
    assert not any(part.strip(b"\0")[:20] in b"".join(documents) for part in kept_back if b"\0" not in part[:20])


def test_each_sequence_comes_once_an_epoch(texts: Path) -> None:
    data = open_stage(of(texts), texts)
    size = data.num_sequences("code")
    samples = [data.sample(index) for index in range(1024 * (size // 1024 + 1))]
    first = Counter(sample.tokens.tobytes() for sample in samples if sample.epoch == 0)
    assert sum(first.values()) == size
    assert [sample.index for sample in samples] == list(range(len(samples)))
    # texts of counted words: no two sequences are equal
    assert set(first.values()) == {1}


@pytest.mark.parametrize("size", [2, 4])
def test_the_order_is_equal_for_any_number_of_ranks(texts: Path, size: int) -> None:
    small = of(texts, stage(sequence_length=LENGTH, mixture={"code": 0.7, "web": 0.3}))
    data = open_stage(small, texts)

    def step(step: int, size: int) -> dict[int, tuple[str, list[int]]]:
        found = {}
        for rank in range(size):
            with closing(Loader(data, stage=small.stages[0], data_rank=rank, data_size=size, micro_batch=2)) as loader:
                for batch in loader.micro_batches(place_of(small, step)):
                    rows = zip(batch.sample_ids, batch.sources, batch.tokens.tolist(), strict=True)
                    found |= {index: (source, tokens) for index, source, tokens in rows}
        return found

    for number in (1, 2, 57):
        assert step(number, size) == step(number, 1)


def test_edits_of_later_stages_and_stages_that_are_appended_change_no_sample(texts: Path) -> None:
    first = stage(sequence_length=LENGTH, mixture={"code": 0.7, "web": 0.3})
    before = [open_stage(of(texts, first), texts).sample(index).tokens.tolist() for index in range(50)]
    longer = stage("two", sequence_length=2 * LENGTH, mixture={"web": 1.0})
    edited = open_stage(of(texts, first, longer, stage("three")), texts)
    assert [edited.sample(index).tokens.tolist() for index in range(50)] == before


def test_another_seed_gives_other_samples(texts: Path) -> None:
    one, other = (open_stage(of(texts, seed=seed), texts) for seed in (7, 8))
    assert sum(one.sample(i).tokens.tolist() == other.sample(i).tokens.tolist() for i in range(50)) == 0


def test_sequences_of_one_long_document_do_not_lie_beside_each_other_in_a_batch(texts: Path) -> None:
    """A loader that reads documents one after another fills whole batches with one, and the loss grows noisy.

    Two rows follow each other in a document where the last token of one is the first of the other.
    """
    small = of(texts, stage(sequence_length=LENGTH, batch=64))
    data = open_stage(small, texts)
    size = data.num_sequences("code")
    num_steps = size // 64
    following = long = 0
    with closing(Loader(data, stage=small.stages[0], data_rank=0, data_size=1, micro_batch=64)) as loader:
        for step in range(1, num_steps + 1):
            (batch,) = loader.micro_batches(place_of(small, step))
            rows = batch.tokens.tolist()
            texts_of = [bytes(min(token, 255) for token in row).decode("latin1") for row in rows]
            is_long = [text.count("long") >= 2 for text in texts_of]
            long += sum(is_long)
            places = [
                int(text.split("long ")[1].split(";")[0]) if there else None
                for text, there in zip(texts_of, is_long, strict=True)
            ]
            following += sum(a is not None and b is not None and abs(a - b) <= 4 for a, b in pairwise(places))
    assert 0.25 * 64 * num_steps < long < 0.75 * 64 * num_steps
    assert following <= 0.02 * 64 * num_steps


def test_a_skipped_step_moves_no_other(texts: Path) -> None:
    small = of(texts)
    data = open_stage(small, texts)

    def digests(steps: list[int]) -> dict[int, int]:
        found = {}
        with closing(Loader(data, stage=small.stages[0], data_rank=0, data_size=1, micro_batch=4)) as loader:
            for step in steps:
                list(loader.micro_batches(place_of(small, step)))
                found[step] = loader.digest
        return found

    every = digests([1, 2, 3, 4, 5, 6])
    assert digests([1, 4, 5, 6]) == {step: every[step] for step in (1, 4, 5, 6)}


@pytest.mark.parametrize("steps", [1000, 10_000_000])
def test_nothing_in_memory_or_on_disk_grows_with_planned_steps(texts: Path, steps: int) -> None:
    small = of(texts, stage(sequence_length=LENGTH, steps=steps, mixture={"code": 0.7, "web": 0.3}))
    data = open_stage(small, texts)
    last = data.sample(small.stages[0].num_samples - 1)
    assert last.tokens.shape == (LENGTH + 1,)
    for epoch in data._training.values():
        documents, starts, shuffle = epoch.document_index, epoch.sample_index, epoch.shuffle_index
        assert (len(documents), len(starts)) == (epoch._cut.end, len(epoch) + 1)
        assert isinstance(shuffle, range)
        assert isinstance(documents, np.memmap)
        assert isinstance(starts, np.memmap)
    assert len(epoch) < 200


def test_held_out_documents_are_the_same_for_every_seed_and_never_trained_on(texts: Path) -> None:
    mixed = stage(sequence_length=LENGTH, mixture={"code": 0.7, "web": 0.3})
    one, other = (open_stage(of(texts, mixed, seed=seed), texts).held_out("web") for seed in (7, 8))
    assert len(one) == len(other) > 0
    rows = [one.sample(index).tokens.tolist() for index in range(len(one))]
    assert [other.sample(index).tokens.tolist() for index in range(len(other))] == rows
    assert one.end_of_document == END
    with pytest.raises(IndexError, match="held out sequence -1 of web is outside"):
        one.sample(-1)


def test_a_source_may_have_nothing_held_out(texts: Path) -> None:
    data = open_stage(of(texts, held_out=0.0), texts)
    assert len(data.held_out("code")) == 0
    assert data._training["code"]._cut.end == 61


def test_a_source_too_small_for_one_sequence_is_refused(texts: Path) -> None:
    with pytest.raises(
        UsageError, match=r"sources.web has fewer than the 100001 tokens that one sequence of stage one"
    ):
        open_stage(of(texts, stage(sequence_length=100_000, mixture={"web": 1.0})), texts)


def test_held_out_data_of_a_source_that_is_not_mixed_are_refused(texts: Path) -> None:
    with pytest.raises(UsageError, match="stage one mixes no source web; known: code"):
        open_stage(of(texts), texts).held_out("web")


def test_epochs_and_identities_are_told(texts: Path) -> None:
    data = open_stage(of(texts, stage(sequence_length=LENGTH, steps=1280)), texts)
    assert data.sources == ("code",)
    assert data.epochs == {"code": 10240 / data.num_sequences("code")}
    assert data.identities["code"].startswith("code-")
    assert data.end_of_document == END


def test_a_run_does_not_go_on_with_other_tokens(texts: Path) -> None:
    data = open_stage(of(texts), texts)
    data.refuse_others({})
    data.refuse_others({**data.identities, "web": "web-of-another-stage"})
    with pytest.raises(UsageError, match=r"sources.code holds other tokens \(code-\w+\) than .* \(code-before\)"):
        data.refuse_others({"code": "code-before"})


def test_an_index_that_half_a_writer_left_is_not_believed(texts: Path, tmp_path: Path) -> None:
    from trainer.data.stage_data import StageData

    small = of(texts)
    before = StageData.open(small, 0, tmp_path, is_builder=True).sample(3).tokens.tolist()
    (index,) = [
        path
        for path in (tmp_path / "indices").iterdir()
        if path.is_dir() and (path / "starts.npy").stat().st_size > 500
    ]
    left_over = index.with_name(f"{index.name}.making-elsewhere-1")
    index.rename(left_over)
    (left_over / "starts.npy").write_bytes(b"half")
    assert StageData.open(small, 0, tmp_path, is_builder=True).sample(3).tokens.tolist() == before
