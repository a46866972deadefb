"""Where the release is found that runs."""

import os
from pathlib import Path

import pytest

from watchkeeper.settings import load
from watchkeeper.settings.releases import MAX_RELEASE, VARIABLES, find_release
from watchkeeper.storage.rows import MAX_NAME

DOCS = Path(__file__).parents[2] / "docs"
SHA = "4f0c9a2b7d1e4f0c9a2b7d1e4f0c9a2b7d1e4f0c"


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_platform_names_the_release(tmp_path, variable):
    """Without a setting the release is what the platform says."""
    environ = {variable: SHA}

    assert SHA == load(environ=environ, directory=tmp_path).settings.release


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.fly.io/shop:deployment-01HXYZ", "deployment-01HXYZ"),
        ("registry.fly.io/shop@sha256:" + "ab" * 32, "sha256:" + "ab" * 32),
        ("registry.fly.io:443/shop", "registry.fly.io:443/shop"),
    ],
)
def test_of_an_image_the_tag_counts(tmp_path, image, expected):
    """The name of the image is the same for each release."""
    assert expected == find_release({"FLY_IMAGE_REF": image}, tmp_path)


def test_the_latest_is_no_release(tmp_path):
    """A name of whatever runs tells no two releases apart."""
    environ = {"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "GIT_REV": "abc"}

    assert "abc" == find_release(environ, tmp_path)


def test_the_file_that_deployment_tools_write_counts(tmp_path):
    """Capistrano's REVISION lies beside the application; a variable wins over it."""
    (tmp_path / "REVISION").write_text(f"{SHA}\n")

    assert SHA == load(environ={}, directory=tmp_path).settings.release
    assert "v2" == find_release({"GIT_SHA": "v2"}, tmp_path)


@pytest.mark.parametrize("content", [b"", b" \n", None])
def test_where_nothing_names_it_there_is_none(tmp_path, content):
    """No file, or an empty one."""
    if content is not None:
        (tmp_path / "REVISION").write_bytes(content)

    assert "" == find_release({"GIT_SHA": " "}, tmp_path)


def test_long_names_are_told_apart(tmp_path):
    """A revision begins with the service's name; as much of it is read as is stored."""
    revision = f"{'customer-portal-production-europe-west-1-eu':-<49}-00042-abc"

    assert revision == find_release({"K_REVISION": revision}, tmp_path)
    assert MAX_NAME == len(find_release({"GIT_SHA": "v" * 300}, tmp_path))


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(tmp_path):
    """A REVISION that is no file names no release."""
    os.mkfifo(tmp_path / "REVISION")

    assert "" == find_release({}, tmp_path)


def test_a_folder_or_odd_bytes_stop_nothing(tmp_path):
    """Whatever is called REVISION, the application starts."""
    (tmp_path / "REVISION").write_bytes(b"\xff" * 10_000)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "REVISION").mkdir()

    assert MAX_RELEASE == len(find_release({}, tmp_path))
    assert "" == find_release({}, tmp_path / "other")


def test_every_variable_is_documented():
    """Who looks for the release of a platform finds it."""
    page = (DOCS / "deploys.md").read_text("utf-8")

    assert [] == [name for name in VARIABLES if f"`{name}`" not in page]
