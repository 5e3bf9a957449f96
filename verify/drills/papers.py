"""Ten small papers on ten subjects, a question that each of them alone answers, and four files that are no papers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pypdf import PdfWriter

PREFIX = "tandem-verify/"
TOO_MANY_PAGES = 500
COLUMNS, LINES = 88, 50  # what fits on a page in 10 pt Helvetica


@dataclass(frozen=True, slots=True)
class Paper:
    """name: of its object, without PREFIX and suffix."""

    name: str
    title: str
    text: str
    question: str

    @property
    def key(self) -> str:
        """Its object in `arxiv-raw`."""
        return f"{PREFIX}{self.name}.pdf"

    @property
    def pdf(self) -> bytes:
        """Two pages: title and text, then the text again under another heading, so that there are several chunks."""
        return pdf([f"{self.title}\n\nAbstract. {self.text}", f"1 Introduction\n\n{self.text}"])


def pdf(pages: Sequence[str]) -> bytes:
    """A PDF of plain text, a string a page, written by hand: no font or layout engine decides what is in it."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for text in pages:
        number = len(objects) + 1
        stream = _stream(text)
        resources = "<< /Font << /F1 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {resources} /Contents {number + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects[1] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>"
    return _file(objects)


def others() -> Mapping[str, tuple[bytes, str]]:
    """Key -> (bytes, how the report's reason for refusing it begins)."""
    return {
        f"{PREFIX}empty.pdf": (b"", "empty file"),
        f"{PREFIX}encrypted.pdf": (_encrypted(PAPERS[0].pdf), "encrypted"),
        f"{PREFIX}page.pdf": (b"<!doctype html><title>404 Not Found</title>", "not a PDF"),
        f"{PREFIX}proceedings.pdf": (pdf(["Proceedings"] * TOO_MANY_PAGES), f"{TOO_MANY_PAGES} pages"),
    }


def _stream(text: str) -> str:
    """The drawing of one page."""
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, COLUMNS) or [""]][:LINES]
    shown = "\n".join(f"({_escaped(line)}) Tj T*" for line in lines)
    return f"BT /F1 10 Tf 12 TL 50 740 Td\n{shown}\nET"


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: Sequence[str]) -> bytes:
    """Objects, then the table of where each begins."""
    out = bytearray(b"%PDF-1.4\n")
    begins = []
    for number, body in enumerate(objects, start=1):
        begins.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += "".join(f"{begin:010d} 00000 n \n" for begin in begins).encode()
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _encrypted(data: bytes) -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt("a password that nobody has", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


PAPERS = (
    Paper(
        "graphs",
        "Message passing on molecular graphs",
        "Graph neural networks compute a vector for every node by repeatedly gathering messages from its neighbours "
        "along the edges. We study how deep such networks may become before all nodes look alike, and show that "
        "skipping connections and normalising by degree delays this over-smoothing. On a benchmark of organic "
        "molecules, whose atoms are nodes and whose bonds are edges, sixteen layers predict solubility better than "
        "four. The cost grows with the number of edges, not with the square of the number of nodes.",
        "Why do node representations become indistinguishable when many rounds of neighbour aggregation are stacked?",
    ),
    Paper(
        "diffusion",
        "Fewer denoising steps for image synthesis",
        "Diffusion models draw a picture by removing noise from a random canvas in hundreds of small steps. We train a "
        "student that imitates two steps of its teacher in one, and repeat this until four steps suffice. The sampled "
        "photographs keep their sharpness, and a text prompt still steers what is painted. Sampling a picture of a "
        "thousand pixels takes a tenth of a second on one graphics card, which makes interactive editing possible.",
        "How can generating a picture from noise be made faster by distillation?",
    ),
    Paper(
        "walking",
        "A quadruped learns to walk on sand",
        "We teach a four-legged robot to walk over loose ground by trial and error. A policy is rewarded for forward "
        "speed and punished for falling and for torque in its motors; it is trained in a simulator whose friction and "
        "terrain are drawn at random, and then transferred to the real machine without more training. On a beach the "
        "robot recovers from slipping legs and climbs dunes of twenty degrees.",
        "Which reward lets a legged machine cope with slippery terrain after training in simulation?",
    ),
    Paper(
        "proteins",
        "Folding proteins without relatives",
        "The shape of a protein is usually predicted from an alignment of related sequences. Many viral and designed "
        "proteins have no known relatives. We predict the positions of backbone atoms from a single chain of amino "
        "acids with a language model that was trained on sixty million sequences. For orphan proteins the error of the "
        "predicted structure is halved, and a binding pocket found in this way was confirmed by crystallography.",
        "How can the three-dimensional structure of an amino acid chain be inferred without homologous sequences?",
    ),
    Paper(
        "qubits",
        "Decoding the surface code in a microsecond",
        "Quantum computers need error correction because their qubits lose coherence. The surface code spreads one "
        "logical qubit over a square of physical ones, whose stabilisers are measured again and again. We describe a "
        "decoder for matching syndromes that runs on a field-programmable gate array within a microsecond a round, "
        "faster than errors accumulate. At a physical error rate of one in a thousand, the logical error rate falls "
        "tenfold with each larger distance of the code.",
        "What keeps a logical qubit alive although the physical ones decohere?",
    ),
    Paper(
        "federated",
        "Training on hospital records that never leave",
        "Hospitals may not share the records of their patients. In federated learning each of them trains on its own "
        "data and sends only updates of the weights to a coordinator. We add calibrated noise to the updates, so that "
        "differential privacy bounds what can be learned of any single patient, and aggregate them securely. Over "
        "eleven clinics the model recognises sepsis as early as one that was trained on the pooled data.",
        "Can institutions train a shared model while keeping private medical data at home?",
    ),
    Paper(
        "lensing",
        "Dark matter haloes from gravitational lensing",
        "The mass of a cluster of galaxies bends the light of what lies behind it. From the sheared shapes of forty "
        "thousand background galaxies in a survey of the southern sky we reconstruct how dark matter is distributed in "
        "two hundred clusters. Their haloes are less concentrated than simulations of cold dark matter expect. "
        "Telescope optics and atmospheric blur are modelled from the images of stars.",
        "What does the distortion of background galaxy shapes tell about invisible mass?",
    ),
    Paper(
        "speech",
        "Recognising speech in a noisy kitchen",
        "Voice assistants misunderstand speakers when pans clatter and water runs. We transcribe spoken commands with "
        "an acoustic model that listens to four microphones and steers a beam towards the speaking mouth. Trained "
        "on recordings with added household sounds, the recogniser makes a third fewer word errors, and it runs on a "
        "telephone in real time. The voices of children remain harder than those of adults.",
        "How are word errors of a voice assistant reduced when there is background sound?",
    ),
    Paper(
        "weather",
        "Ten-day weather forecasts on one accelerator",
        "Numerical weather prediction integrates the equations of the atmosphere on a supercomputer. We learn the step "
        "from one state of temperature, wind and humidity to the state six hours later from forty years of reanalysis. "
        "Rolled out for ten days, the learned forecast of pressure at five kilometres is as skilful as that of the "
        "operational centre, and the tracks of tropical cyclones are better. One forecast takes a minute.",
        "Can a learned model predict storms and temperatures days ahead as well as a meteorological centre?",
    ),
    Paper(
        "rounding",
        "Four bits a weight for large language models",
        "Large language models do not fit the memory of ordinary machines. We store each weight in four bits, not in "
        "sixteen. A few columns with outliers are kept in full precision, and the rounding of every other column makes "
        "up for the error of those before it. Perplexity grows by two percent, memory shrinks to a third, and "
        "generating a token is twice as fast because less is read from memory.",
        "How far can the parameters of a text generator be quantised before its quality suffers?",
    ),
)
