"""What `deploy/` tells containers is what the command line and the service know: flags, environment, port, probes. Read as text: nothing is built."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from banyan.cli import app

DEPLOY = Path(__file__).parent.parent / "deploy"
SOURCE = Path(__file__).parent.parent / "src" / "banyan"
PORT = 8000


def chart() -> list[dict[str, Any]]:
    """The chart's objects, each value of its own in its place."""
    values = yaml.safe_load((DEPLOY / "chart" / "values.yaml").read_text())

    def put(found: re.Match[str]) -> str:
        name, quoted = found[1], "quote" in (found[2] or "")
        value: Any = "shop" if name == ".Release.Name" else values
        for key in name.split(".")[2:] if name != ".Release.Name" else ():
            value = value[key]
        return json.dumps(value) if quoted or isinstance(value, (dict, list)) else str(value)

    text = (DEPLOY / "chart" / "templates" / "service.yaml").read_text()
    text = re.sub(r"^\s*\{\{- (with|end).*\n", "", text, flags=re.M)
    text = re.sub(r"^\s*storageClassName:.*\n", "", text, flags=re.M)
    text = re.sub(r"\{\{ (?:toJson )?(\.[\w.]+)( \| quote)? \}\}", put, text)
    assert "{{" not in text
    return list(yaml.safe_load_all(text))


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


def image() -> dict[str, list[str]]:
    """Instruction -> what follows it, of the image that runs."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text[text.rindex("\nFROM ") :].splitlines():
        word, _, rest = line.partition(" ")
        if word.isupper():
            found.setdefault(word, []).append(rest.strip())
    return found


def commands() -> dict[str, list[str]]:
    """Where a command stands -> its words after `banyan`."""
    container = chart()[0]["spec"]["template"]["spec"]["containers"][0]
    return {
        "image": json.loads(image()["CMD"][0]),
        "compose": [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", str(each)) for each in compose()["banyan"]["command"]],
        "chart": [str(each) for each in container["args"]],
    }


@pytest.mark.parametrize("where", ["image", "compose", "chart"])
def test_the_command_line_takes_every_flag(where: str) -> None:
    name, bundle, *words = commands()[where]
    help_ = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    flags = dict(zip(words[::2], words[1::2], strict=True))
    assert all(flag.startswith("--") and re.search(rf"{flag}\b", help_) for flag in flags), help_
    assert bundle.startswith("/bundle")
    assert (flags["--host"], flags["--state"]) == ("0.0.0.0", "/state")


def test_the_environment_is_what_the_service_reads() -> None:
    known = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"BANYAN_[A-Z_]+", path.read_text())}
    told = {*compose()["banyan"]["environment"]}
    told |= set(re.findall(r"BANYAN_[A-Z_]+", (DEPLOY / "chart" / "values.yaml").read_text()))
    assert told <= known
    assert {"BANYAN_DATABASE_URL", "BANYAN_STATE_URL"} <= told
    assert compose()["banyan"]["environment"]["BANYAN_DATABASE_URL"].startswith("postgresql://")


def test_ports_and_probes_are_those_of_the_service() -> None:
    from banyan.cli.service import serve
    from banyan.serving import routes_health

    assert inspect.signature(serve).parameters["port"].default == PORT
    assert image()["EXPOSE"] == [str(PORT)]
    assert compose()["banyan"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    deployment, _, service = chart()
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"] == [{"name": "http", "containerPort": PORT}]
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    paths = routes_health.healthz.paths | routes_health.readyz.paths
    probes = {container[each]["httpGet"]["path"] for each in ("startupProbe", "readinessProbe", "livenessProbe")}
    asked = set(re.findall(rf"127\.0\.0\.1:{PORT}(/\w+)", image()["HEALTHCHECK"][0]))
    assert probes | asked <= paths


def test_a_container_writes_where_it_may_and_has_the_time_to_finish() -> None:
    from banyan.serving.server import GRACE_SECONDS

    deployment, claim, _ = chart()
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS
    assert int(compose()["banyan"]["stop_grace_period"].rstrip("s")) > GRACE_SECONDS
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["/bundle"]["readOnly"] is True
    assert {"/state", "/tmp"} <= set(mounts)
    assert {each["name"] for each in mounts.values()} == {each["name"] for each in pod["volumes"]}
    assert pod["volumes"][1]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert [each.split(":")[1] for each in compose()["banyan"]["volumes"][1:]] == ["/state"]


def test_the_image_is_made_from_files_that_are_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.M):
        for name in line.split()[:-1]:
            assert (DEPLOY.parent / name).exists(), name
    extras = re.search(r'"\.\[([\w,]+)\]"', text)
    assert extras is not None
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    assert all(re.search(rf"^{each} = \[", project, flags=re.M) for each in extras[1].split(","))
    assert "HEALTHCHECK" in image()
    assert image()["USER"] == ["banyan"]
