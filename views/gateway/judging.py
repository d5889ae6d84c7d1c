"""What may be asked: one statement that only reads, and reads nothing but the store.

The engine itself says what kind of statement a text is, and `readonly = 1` on the handle refuses what writes once more.
Neither refuses what reads past the store (`file(...)` gives any file of this machine, `python(...)` any object of this
process) or what is experimental and runs text (`eval`). So every function of the statement is looked at by its name, in
the engine's own writing of it, where an escape or a comment hides nothing. Table functions are refused unless they are
known to be harmless; there are some ninety, and every version brings new ones.
"""

import re
from collections.abc import Collection, Iterator

from sinks.embedded import Judgement
from views.gateway.refusals import Refusal, refusal, refusal_of

HARMLESS_TABLE_FUNCTIONS = frozenset(
    (
        "format", "generate_series", "generaterandom", "generateseries", "merge", "null", "numbers", "numbers_mt",
        "primes", "sqlstandardvalues", "values", "view", "zeros", "zeros_mt",
    )
)  # fmt: skip
# Scalar functions that read past the store, or ask somebody else.
_REACHING_OUT = frozenset(("file", "catboostevaluate", "reversednsquery"))
# `aiGenerate` and its kin ask a language model.
_ASKING_A_MODEL = re.compile(r"^ai(classify|embed|extract|filter|generate|redact|similarity|translate)")

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|\w+|\S", re.DOTALL)
_OWN_FORMAT = re.compile(r" FORMAT (\w+)$")
_SETTINGS = re.compile(r" SETTINGS (?:\w+ = (?:'(?:[^'\\]|\\.)*'|[-\w.]+)(?:, )?)+$")


def checked(judgement: Judgement, table_functions: Collection[str], version: str) -> str:
    """The statement in the engine's writing, if it may be run. Raises Refusal.

    `table_functions` are the engine's own, in small letters.
    """
    if judgement.statements > 1:
        raise refusal(62, "Multi-statements are not allowed: send one statement at a time")
    if judgement.kind != "READ_ONLY":
        raise _not_read_only(judgement, version)
    if judgement.statements != 1 or not judgement.canonical:
        raise refusal_of(judgement.trouble, version)
    for name in called(judgement.canonical):
        small = name.lower()
        reaching_out = small in _REACHING_OUT or bool(_ASKING_A_MODEL.match(small))
        if reaching_out or (small in table_functions and small not in HARMLESS_TABLE_FUNCTIONS):
            raise refusal(
                446, f"{name} is not allowed here: it reads past the store, and the gateway reads the store only"
            )
    return judgement.canonical


def _not_read_only(judgement: Judgement, version: str) -> Refusal:
    if judgement.kind == "UNKNOWN" and judgement.trouble:
        return refusal_of(
            judgement.trouble if "(SYNTAX_ERROR)" in judgement.trouble else f"{judgement.trouble} (SYNTAX_ERROR)",
            version,
        )
    return refusal(164, "Cannot execute query in readonly mode: the gateway only reads")


def called(canonical: str) -> Iterator[str]:
    """Names of all functions, table functions among them, in a statement of the engine's writing.

    A name is called where a bracket follows it, and where it follows APPLY, which the engine writes with a bracket
    between them when the function is given arguments: `* APPLY (name, 'text')`.
    """
    last, before = "", ""
    for piece in (found[0] for found in _TOKEN.finditer(canonical)):
        if piece == "(":
            yield _plain(last)  # a word of the language, or nothing, does no harm here
        elif last == "APPLY" or (before, last) == ("APPLY", "("):
            yield _plain(piece)
        last, before = piece, last


def _plain(name: str) -> str:
    return name[1:-1] if name[:1] in ("`", '"') else name


def own_format(canonical: str) -> str | None:
    """The format that a statement names itself."""
    found = _OWN_FORMAT.search(_SETTINGS.sub("", canonical))
    return found[1] if found else None


def bare(canonical: str) -> str:
    """The statement without the format and the settings at its end."""
    return _OWN_FORMAT.sub("", _SETTINGS.sub("", canonical))
