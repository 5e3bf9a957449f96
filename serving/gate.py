"""What a rounded variant has to reach before it is published, beside fp32 on the same texts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from serving.engine import Ids, Vectors
from serving.errors import GateFailed
from serving.manifest import Gate
from serving.passages import Labelled

COSINES = {"fp16": (0.999, 0.999), "int8": (0.994, 0.98)}  # by precision: least mean, least of all
RECALL_LOSS = 0.02  # of recall@FIRST
MATES_COSINE = 0.9999
FIRST = 10
MATES = (2, 3, 8, 24)  # sizes of batches in which texts meet others, of any length

Run = Callable[[Sequence[Ids]], Vectors]


def judge(
    plain: Run, rounded: Run, tokenizer: Tokenizer, labelled: Labelled, recorded: Sequence[str], precision: str
) -> Gate:
    """Every text through both, alone, then some through the variant together. Raises GateFailed naming the figure.

    recorded: texts that every stage is asked for, as odd as an empty one; only their cosines count. precision: of the
    variant.
    """
    passages, queries = (_ids(tokenizer, texts) for texts in (labelled.passages, labelled.queries))
    wanted_p, wanted_q = _alone(plain, passages), _alone(plain, queries)
    found_p, found_q = _alone(rounded, passages), _alone(rounded, queries)
    odd = _ids(tokenizer, recorded)
    pairs = ((found_p, wanted_p), (found_q, wanted_q), (_alone(rounded, odd), _alone(plain, odd)))
    cosines = np.concatenate([_cosines(*pair) for pair in pairs])
    found = Gate(
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        recall_fp32=recall(wanted_p, wanted_q, labelled.answers),
        recall=recall(found_p, found_q, labelled.answers),
        mates_cosine_min=mates(rounded, [*passages, *queries], np.concatenate([found_p, found_q])),
    )
    require(found, precision)
    return found


def require(found: Gate, precision: str) -> None:
    """Raises GateFailed naming the first figure that is too low for this precision, or not a number."""
    mean, least_of_all = COSINES[precision]
    least = {
        "cosine_mean": mean,
        "cosine_min": least_of_all,
        "recall": found.recall_fp32 - RECALL_LOSS,
        "mates_cosine_min": MATES_COSINE,
    }
    for figure, bound in least.items():
        if not getattr(found, figure) >= bound:
            raise GateFailed(f"{precision}: {figure} {getattr(found, figure):.6f} < {bound:.6f}")


def recall(passages: Vectors, queries: Vectors, answers: Sequence[int]) -> float:
    """Share of queries whose passage is among the FIRST nearest."""
    near = queries @ passages.T
    own = near[np.arange(len(answers)), list(answers)]
    return float(((near > own[:, None]).sum(axis=1) < FIRST).mean())


def mates(run: Run, texts: Sequence[Ids], alone: Vectors) -> float:
    """The least cosine between a text's vector alone and the same among others, in random company of several sizes."""
    rng, least = random.Random(0), 1.0
    for size in MATES:
        for _ in range(4):
            chosen = rng.sample(range(len(texts)), min(size, len(texts)))
            together = run([texts[row] for row in chosen])
            least = min(least, float(_cosines(together, alone[chosen]).min()))
    return least


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    return [encoded.ids for encoded in tokenizer.encode_batch_fast(list(texts))]


def _alone(run: Run, texts: Sequence[Ids]) -> Vectors:
    return np.concatenate([run([ids]) for ids in texts])


def _cosines(left: Vectors, right: Vectors) -> npt.NDArray[np.float64]:
    """Row by row, in fp64."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    near: npt.NDArray[np.float64] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return near
