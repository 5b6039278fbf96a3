"""What the licences of models ask of those who pass on what was made with them, and what the hub calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """`hub`: its identifier on the Hugging Face hub. `asks`: in words, what it wants affirmed; empty for a free one.

    `notice`: what has to stand beside what is passed on. `link`: its text.
    """

    hub: str
    asks: str = ""
    notice: str = ""
    link: str = ""


UNKNOWN = Licence("other", "what it allows is not known here: read it")
# By `licence_key` of what the catalogue calls them.
LICENCES = {
    **{name: Licence(name) for name in ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0")},
    # Section 3.1 of the terms; models that learnt from Gemma's answers are its derivatives too (section 1.1).
    "gemma": Licence(
        "gemma",
        "you have accepted Google's terms, hand them on to whoever gets this, who may use it as they allow",
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms. The weights "
        "were modified. Whoever uses or passes this on is bound by these terms, the restrictions of section 3.2 among "
        "them (ai.google.dev/gemma/prohibited_use_policy), and gives every recipient a copy.",
        "https://ai.google.dev/gemma/terms",
    ),
    # Sections 3 and 4 of the agreement of 19 September 2024.
    "qwen-license": Licence(
        "other",
        "its document names what made this, and more than 100 million users a month need a licence of Alibaba Cloud's",
        "Improved using Qwen.",
        "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
    ),
    **{
        name: Licence(name, "nobody who gets this may use it for money")
        for name in ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0")
    },
}


def licence_key(name: str) -> str:
    """The name of a licence in lower case, with hyphens for all that is no letter, digit or full stop."""
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-")


def licence(name: str) -> Licence:
    """What is known of the licence that `models.<role>.license` calls `name`."""
    return LICENCES.get(licence_key(name), UNKNOWN)
