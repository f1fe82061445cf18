"""Temporal's time-skipping test server: found in our cache, or obtained once per user."""

import re
import shutil
import zipfile
from datetime import timedelta
from functools import partial
from pathlib import Path

from devstack.bounded_run import run_bounded
from devstack.obtain import Say, Way, WayFailedError, cache_folder, obtain, scratch, ticking
from devstack.sdk_download import download_by_sdk, sdk_version

PRODUCT = "Temporal test server"
MAVEN_VERSION = "1.38.0"

_MAVEN_LIMIT = timedelta(minutes=10)
_JAVA_LIMIT = timedelta(seconds=30)
_WRAPPER = "temporal-test-server"
_ADVICE = (
    "Install Java and Maven (Debian: apt install default-jre-headless maven) or allow https://temporal.download, "
    "and run this again."
)
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>holdfast</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>{MAVEN_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


async def find_test_server(*, cache_dir: Path | None, say: Say) -> Path:
    """Return the program for `WorkflowEnvironment.start_time_skipping(test_server_existing_path=…)`.

    From the cache, else the SDK's download, else Maven Central (39 jars, 38 MB, run by Java). Raises ObtainError.
    """
    folder = cache_folder(cache_dir)
    return await obtain(
        PRODUCT,
        folder,
        at_hand=[Way(f"the cache in {folder}", partial(_cached, folder))],
        to_fetch=[
            Way("download by the Temporal SDK", partial(_downloaded, folder, say)),
            Way(f"Maven Central io.temporal:temporal-test-server:{MAVEN_VERSION}", partial(_from_maven, folder, say)),
        ],
        advice=_ADVICE,
        say=say,
    )


def _sdk_target(folder: Path) -> Path:
    return folder / f"temporal-test-server-sdk-{sdk_version()}"


def _maven_target(folder: Path) -> Path:
    return folder / f"temporal-test-server-maven-{MAVEN_VERSION}"


async def _cached(folder: Path) -> Path:
    if _sdk_target(folder).is_file():
        return _sdk_target(folder)
    wrapper = _maven_target(folder) / _WRAPPER
    if not wrapper.is_file():
        raise WayFailedError("holds none of the versions sought")
    _require("java")
    return wrapper


async def _downloaded(folder: Path, say: Say) -> Path:
    with scratch(folder, PRODUCT) as into:
        async with ticking(say, f"Downloading the {PRODUCT} by the Temporal SDK"):
            program = await download_by_sdk("test-server", into)
        return program.replace(_sdk_target(folder))


async def _from_maven(folder: Path, say: Say) -> Path:
    _require("java")
    _require("mvn")
    await run_bounded(["java", "-version"], limit=_JAVA_LIMIT)
    with scratch(folder, PRODUCT) as into:
        (into / "pom.xml").write_text(_POM, encoding="utf-8")
        made = into / "made"
        copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={made / 'jars'}"]
        async with ticking(say, f"Fetching the {PRODUCT} {MAVEN_VERSION} from Maven Central"):
            await run_bounded([*copy, "-DincludeScope=runtime"], limit=_MAVEN_LIMIT, cwd=into)
        _write_wrapper(made)
        shutil.rmtree(_maven_target(folder), ignore_errors=True)  # one that lost its wrapper would be in the way
        made.replace(_maven_target(folder))
    return _maven_target(folder) / _WRAPPER


def _write_wrapper(made: Path) -> None:
    main_class = _main_class(made / "jars" / f"temporal-test-server-{MAVEN_VERSION}.jar")
    # Each run lives for seconds: quick to start matters more than quick later.
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    wrapper = made / _WRAPPER
    wrapper.write_text(
        f'#!/bin/sh\nexec java {options} -cp "$(dirname "$0")/jars/*" {main_class} "$@"\n', encoding="utf-8"
    )
    wrapper.chmod(0o755)


def _main_class(jar: Path) -> str:
    try:
        with zipfile.ZipFile(jar) as archive:
            manifest = archive.read("META-INF/MANIFEST.MF").decode()
    except (zipfile.BadZipFile, KeyError) as error:
        raise WayFailedError(f"{jar.name} is damaged: {error}") from error
    match = re.search(r"^Main-Class: *(\S+)", manifest, re.MULTILINE)
    if not match:
        raise WayFailedError(f"{jar.name} does not name its main class")
    return match[1]


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise WayFailedError(f"`{program}` is not installed")
