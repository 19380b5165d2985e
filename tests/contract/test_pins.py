"""pyproject.toml, the hashed pins and environment.yml say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRA_OF = {
    f"requirements{suffix}.txt": extra
    for suffix, extra in {"": "pipelines", "-serving": "serving", "-page": "page", "-tracking": "tracking", "-dev": "dev"}.items()
}
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
ENVIRONMENTS = [{"python_full_version": f"{v}.9", "python_version": v, **LINUX} for v in ("3.11", "3.12")]


def declared(extra: str) -> list[Requirement]:
    found = [Requirement(text) for text in (*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"][extra])]
    nested = [r for r in found if r.name == "churn"]
    return [r for r in found if r.name != "churn"] + [inner for r in nested for name in r.extras for inner in declared(name)]


def pins(file: str, environment: dict[str, str]) -> dict[str, str]:
    lines = re.findall(r"^([A-Za-z0-9][^\\#\n]*)", (ROOT / file).read_text(), flags=re.M)
    found = [Requirement(line.strip()) for line in lines]
    here = [r for r in found if r.marker is None or r.marker.evaluate(dict(environment))]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in here}


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["3.11", "3.12"])
@pytest.mark.parametrize("file", EXTRA_OF)
def test_every_declared_package_is_pinned_inside_its_range(file: str, environment: dict[str, str]) -> None:
    locked = pins(file, environment)
    for requirement in declared(EXTRA_OF[file]):
        if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
            continue
        pinned = locked.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is not in {file}: make pins"
        assert requirement.specifier.contains(pinned), f"{file} pins {requirement.name} {pinned}, declared is {requirement.specifier}"


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["3.11", "3.12"])
@pytest.mark.parametrize("file", ["requirements.txt", "requirements-serving.txt"])
def test_all_files_pin_the_same_versions(file: str, environment: dict[str, str]) -> None:
    everything = pins("requirements-dev.txt", environment)
    assert {name: everything.get(name) for name in pins(file, environment)} == pins(file, environment)


@pytest.mark.parametrize("file", EXTRA_OF)
def test_every_pin_is_hashed_and_names_no_index(file: str) -> None:
    text = (ROOT / file).read_text()
    blocks = re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t]+[^\n]*\n?)*", text, flags=re.M)
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert not re.search(r"https?://|--index-url|--find-links|--extra-index", text)


def test_conda_takes_python_alone_and_the_packages_from_the_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    packages = {re.split(r"[ =<>]", entry)[0] for entry in environment["dependencies"] if isinstance(entry, str)}
    assert packages == {"python", "pip", "git", "make"}
    assert f"python {PYPROJECT['requires-python']}" in environment["dependencies"]
    assert environment["dependencies"][-1] == {"pip": ["--require-hashes --requirement requirements-dev.txt"]}
