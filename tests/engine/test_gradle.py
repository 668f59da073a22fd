"""The Gradle project for Android Studio against the Maven build: the same modules, sources, versions and SDK levels."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from golden import ENGINE

NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
# The runtime for the phone is fetched by a tool of the Maven build, by hash.
PHONE_ONLY = {"com.microsoft.onnxruntime:onnxruntime-android"}


def pom(module: str = "") -> ElementTree.Element:
    return ElementTree.parse(ENGINE / module / "pom.xml").getroot()


def text(element: ElementTree.Element, path: str) -> str:
    found = element.find(path.replace("/", f"/{NAMESPACE}").replace("^", NAMESPACE))
    assert found is not None, path
    assert found.text, path
    return found.text


def script(module: str) -> str:
    return (ENGINE / module / "build.gradle.kts").read_text()


def catalog() -> dict[str, dict[str, Any]]:
    return tomllib.loads((ENGINE / "gradle" / "libs.versions.toml").read_text())


def maven_dependencies(module: str) -> set[str]:
    dependencies = pom(module).findall(f"{NAMESPACE}dependencies/{NAMESPACE}dependency")
    return {f"{text(one, '^groupId')}:{text(one, '^artifactId')}" for one in dependencies}


def gradle_dependencies(module: str) -> set[str]:
    names = re.findall(r"(?:implementation|compileOnly|testImplementation)\(libs\.([\w.]+)\)", script(module))
    return {str(catalog()["libraries"][name.replace(".", "-")]["module"]) for name in names}


def test_both_have_the_same_modules_and_no_sources_of_their_own() -> None:
    modules = {module.text for module in pom().findall(f"{NAMESPACE}modules/{NAMESPACE}module")}
    settings = (ENGINE / "settings.gradle.kts").read_text()
    assert {name.removeprefix(":") for name in re.findall(r'":(\w+)"', settings)} == modules
    for module in modules:
        assert module is not None
        # Gradle's own folders for Kotlin are src/main/kotlin and src/test/kotlin; none of the scripts names others.
        assert text(pom(module), "^build/sourceDirectory") == "src/main/kotlin"
        assert text(pom(module), "^build/testSourceDirectory") == "src/test/kotlin"
        assert "srcDir" not in script(module)


@pytest.mark.parametrize(
    ("key", "module", "property_name"),
    [
        ("kotlin", "", "kotlin.version"),
        ("serialization", "", "serialization.version"),
        ("onnxruntime", "", "onnxruntime.version"),
        ("junit", "", "junit.version"),
        ("binary-compatibility", "", "binary.compatibility.version"),
        ("asm", "", "asm.version"),
        ("robolectric", "app", "robolectric.version"),
    ],
)
def test_versions_are_equal(key: str, module: str, property_name: str) -> None:
    assert catalog()["versions"][key] == text(pom(module), f"^properties/{property_name}")


def test_dependencies_are_equal() -> None:
    assert gradle_dependencies("engine") == maven_dependencies("engine")
    ours = {name for name in maven_dependencies("app") if not name.startswith("org.seedtune:")}
    # android-all is the SDK; the engine's libraries come to the app's tests through it in Maven.
    ours = ours - {"org.robolectric:android-all"} | PHONE_ONLY
    assert gradle_dependencies("app") - maven_dependencies("engine") == ours - maven_dependencies("engine")
    assert 'implementation(project(":engine"))' in script("app")


def test_sdk_levels_versions_and_abi_are_equal() -> None:
    layout = (ENGINE / "tools" / "layout.py").read_text()
    levels = re.search(r"MIN_SDK, TARGET_SDK = (\d+), (\d+)", layout)
    assert levels is not None
    assert f"minSdk = {levels[1]}" in script("app")
    assert f"targetSdk = {levels[2]}" in script("app")
    assert f"compileSdk = {levels[2]}" in script("app")
    abi = re.search(r'PHONE = "(.+)"', layout)
    assert abi is not None
    assert abi[1] in script("app")
    assert f'versionName = "{text(pom(), "^version")}"' in script("app")
    counted = "git rev-list --count HEAD"
    assert counted in (ENGINE.parent / "scripts" / "build_apk").read_text()
    (command,) = re.findall(r"versionCode = providers.exec \{ commandLine\((.+?)\)", script("app"))
    assert command.replace('"', "").replace(",", "") == counted


def test_both_pin_the_runtime_that_python_has() -> None:
    constraints = (Path(__file__).parents[2] / "constraints.txt").read_text()
    assert f"onnxruntime=={catalog()['versions']['onnxruntime']}\n" in constraints


def test_targets_of_the_compiler_are_equal() -> None:
    assert text(pom(), "^build/pluginManagement/plugins/plugin/configuration/jvmTarget") == "1.8"
    assert "JvmTarget.JVM_1_8" in script("engine")
    assert 'jvmTarget = "1.8"' in script("app")


def test_the_manifest_has_nothing_that_gradle_warns_of_and_the_apk_has_it_all_the_same(tmp_path: Path) -> None:
    source = ENGINE / "app" / "src" / "main" / "AndroidManifest.xml"
    manifest = source.read_text()
    # The package is the script's namespace, and how libraries are packed is a matter of its packaging options.
    for of_the_script in ("package=", "extractNativeLibs", "android:debuggable", "versionCode", "minSdkVersion"):
        assert of_the_script not in manifest
    assert "useLegacyPackaging" not in script("app")
    code = "import sys; from pathlib import Path; import resources; resources.write_manifest(*map(Path, sys.argv[1:]))"
    tools, made = ENGINE / "tools", tmp_path / "AndroidManifest.xml"
    subprocess.run([sys.executable, "-c", code, source, made], cwd=tools, check=True)
    found = ElementTree.parse(made).getroot()
    assert f'namespace = "{found.get("package")}"' in script("app")
    application = found.find("application")
    assert application is not None
    assert application.get("{http://schemas.android.com/apk/res/android}extractNativeLibs") == "false"
    # What every Android resolves the names of its components by.
    assert {one.get("{http://schemas.android.com/apk/res/android}name") for one in application.iter("activity")} == {
        ".MainActivity",
        ".LicencesActivity",
    }
