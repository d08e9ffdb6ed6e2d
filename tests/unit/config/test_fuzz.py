"""Whatever stands in a file or in variables: it loads, or the error is a ConfigError that keeps secrets."""

import contextlib
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from riptide.config import load
from riptide.config.catalog import catalog, sections
from riptide.config.names import ENVIRONMENT, LEGACY
from riptide.config.redis_url import mask_url
from riptide.errors import ConfigError

texts = st.text(max_size=20) | st.sampled_from(
    ["${A}", "${A:-1}", "${", "[", "1", "true", "20MiB", "1e400", "9" * 5000, ""]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
leaves = st.sampled_from(sorted({path.rpartition(".")[2] for path in catalog()}))
trees = st.dictionaries(
    st.sampled_from([*sections(), *LEGACY, "persistence"]) | texts,
    st.dictionaries(leaves | texts, values, max_size=4) | values,
    max_size=5,
)
yaml_like = st.text(st.sampled_from("abz01 :-[]{}&*!|>'\"%@`#,?\\\n\t${}.~<=éU\x85\ufeff"), max_size=80)
environments = st.dictionaries(st.sampled_from([*ENVIRONMENT, "A"]), texts, max_size=4)


def loads_or_explains(content: bytes, environ: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "persistence.yml")
        path.write_bytes(content)
        with contextlib.suppress(ConfigError):
            assert set(load(path, environ).sources) == set(catalog())


@given(st.binary(max_size=60), environments)
def test_bytes(content: bytes, environ: dict[str, str]) -> None:
    loads_or_explains(content, environ)


@given(yaml_like, environments)
@example("%YAML 1." + "9" * 5000 + "\n---\na", {})
@example('"\\UFFFFFFFF"', {})
@example("? ? ? ?", {})
def test_text_that_looks_like_yaml(text: str, environ: dict[str, str]) -> None:
    loads_or_explains(text.encode(), environ)


@given(trees, environments)
def test_trees_of_known_and_unknown_names(tree: dict[str, object], environ: dict[str, str]) -> None:
    loads_or_explains(yaml.safe_dump(tree, allow_unicode=True).encode(errors="replace"), environ)


@given(
    st.text(min_size=6, max_size=12),
    st.sampled_from([path for path, known in catalog().items() if known.secret]),
)
def test_a_secret_is_never_repeated(secret: str, path: str) -> None:
    secret = f"#{secret}#"
    section, name = path.split(".")
    tree = {section: {name: secret}, "workers": {"lease_seconds": 0.1}}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "persistence.yml")
        file.write_bytes(yaml.safe_dump(tree).encode())
        with pytest.raises(ConfigError) as raised:
            load(file, {})  # the lease is too short, so this never loads
        assert secret not in str(raised.value)


@given(st.text(st.characters(exclude_characters="@"), min_size=1))
def test_no_password_survives_masking(password: str) -> None:
    assert mask_url(f"redis://user:{password}@host:6379/0") == "redis://user:***@host:6379/0"
