"""How the packages for development are fetched: uv is told what pip is set to, or pip does it."""

import pytest

from tests.support.packages import pins_of, uv_environment


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        pytest.param("", {}, id="pip is set to nothing"),
        pytest.param(
            "global.index-url='https://me:secret@packages.example/simple'",
            {"UV_DEFAULT_INDEX": "https://me:secret@packages.example/simple"},
            id="another index",
        ),
        pytest.param(
            ":env:.index-url='https://b.example'\nglobal.index-url='https://a.example'\ninstall.index-url='https://c.example'",
            {"UV_DEFAULT_INDEX": "https://b.example"},
            id="the environment counts most",
        ),
        pytest.param(
            "install.find-links='/wheels https://b.example'\nglobal.extra-index-url='\\nhttps://a.example\\nhttps://b.example'",
            {"UV_FIND_LINKS": "/wheels,https://b.example", "UV_INDEX": "https://a.example https://b.example"},
            id="several",
        ),
        pytest.param("global.timeout='60'\nglobal.disable-pip-version-check='1'", {}, id="what is of no concern"),
        pytest.param(":env:.no-index='1'\n:env:.find-links='/wheels'", None, id="no index at all is pip's affair"),
        pytest.param("global.proxy='http://proxy.example:3128'", None, id="so is a proxy"),
    ],
)
def test_uv_is_told_what_pip_is_set_to(listed: str, told: dict[str, str] | None) -> None:
    assert uv_environment(listed) == told


def test_pins_of_one_package_are_its_line_and_its_hashes() -> None:
    mine = "uv==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    pinned = f"a==1 \\\n    --hash=sha256:aa\n{mine}uvloop==3 \\\n    --hash=sha256:dd\n"
    assert pins_of("uv", pinned) == mine
