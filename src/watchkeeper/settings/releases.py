"""The release that runs, as the platform, a pipeline or a deployment tool tells it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

MAX_RELEASE: Final = 200  # characters: as much as is stored; what tells two apart is at the end
MAX_FILE: Final = 400  # of a file are looked at
REVISION_FILE: Final = "REVISION"  # as Capistrano and its like write it beside the application
VARIABLES: Final[Mapping[str, str]] = {
    "GIT_SHA": "by convention: a build argument of many images",
    "GIT_COMMIT": "by convention; Jenkins",
    "SOURCE_COMMIT": "Docker Hub, Coolify",
    "HEROKU_BUILD_COMMIT": "Heroku (dyno metadata)",
    "HEROKU_SLUG_COMMIT": "Heroku (dyno metadata)",
    "HEROKU_RELEASE_VERSION": "Heroku (dyno metadata)",
    "RENDER_GIT_COMMIT": "Render",
    "RAILWAY_GIT_COMMIT_SHA": "Railway",
    "VERCEL_GIT_COMMIT_SHA": "Vercel",
    "FLY_IMAGE_REF": "Fly.io: the tag of the image",
    "K_REVISION": "Google Cloud Run, Knative",
    "GAE_VERSION": "Google App Engine",
    "CONTAINER_APP_REVISION": "Azure Container Apps",
    "AWS_LAMBDA_FUNCTION_VERSION": "AWS Lambda, but for $LATEST",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": "AWS CodeBuild",
    "KOYEB_GIT_SHA": "Koyeb",
    "NF_DEPLOYMENT_SHA": "Northflank",
    "PLATFORM_TREE_ID": "Platform.sh, Upsun",
    "CC_COMMIT_ID": "Clever Cloud",
    "CONTAINER_VERSION": "Scalingo",
    "GIT_REV": "Dokku",
    "CAPROVER_GIT_COMMIT_SHA": "CapRover",
    "CI_COMMIT_SHA": "GitLab CI",
    "GITHUB_SHA": "GitHub Actions",
    "APP_VERSION": "by convention: a Kubernetes label handed on",
}
"""Variables that name the release → who sets them; the first one that is set counts."""
_NO_RELEASE: Final = frozenset({"$LATEST"})  # a name of whatever runs


def find_release(environ: Mapping[str, str], folder: Path) -> str:
    """Return the release by the first variable that is set, else by the file REVISION, or ""."""
    for name in VARIABLES:
        value = environ.get(name, "").strip()
        if value and value not in _NO_RELEASE:
            return (_tag(value) if name == "FLY_IMAGE_REF" else value)[:MAX_RELEASE]
    return _in_file(folder / REVISION_FILE)


def _tag(image: str) -> str:
    """Return what tells one image from another: its tag, else its digest."""
    name, _, digest = image.partition("@")
    return name.rpartition("/")[2].partition(":")[2] or digest or image


def _in_file(file: Path) -> str:
    try:
        if not file.is_file():  # a pipe would be waited for
            return ""
        with file.open(encoding="utf-8", errors="replace") as opened:
            words = opened.read(MAX_FILE).split()
    except OSError:
        return ""
    return words[0][:MAX_RELEASE] if words else ""
