"""Section `vocabulary`: the files of written material."""

from __future__ import annotations

from stages.running.config import section


@section
class VocabularyFiles:
    """`seeds`: a CSV of written reviews (text, label, product, notes); `attributes`: a YAML of products and manners."""

    seeds: str
    attributes: str
