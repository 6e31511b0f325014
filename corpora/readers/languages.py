"""The two-letter language codes of ISO 639-1, to tell a language from other things called ``language``."""

from __future__ import annotations

__all__ = ["LANGUAGES", "language_code"]

_CODES = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv
    ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne
    ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st
    su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""

LANGUAGES = frozenset(_CODES.split())
"""All codes of ISO 639-1. https://www.loc.gov/standards/iso639-2/php/code_list.php"""


def language_code(value: object) -> str | None:
    """The two-letter code in a language tag such as ``de``, ``de-CH`` or ``pt_BR``, or ``None`` if it is none.

    Metadata calls many things a language: a corpus of source code says ``python``, and that is not one.
    """
    if not isinstance(value, str):
        return None
    code = value.strip().lower().replace("_", "-").partition("-")[0]
    return code if code in LANGUAGES else None
