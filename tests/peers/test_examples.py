# SPDX-License-Identifier: Apache-2.0
"""examples/: what stands there is well-formed, agrees with itself, and joins what it splits."""
import os
import re
import subprocess

import pytest
import yaml

from conftest import TOP

EXAMPLES = f"{TOP}/examples"


def load(name):
    with open(f"{EXAMPLES}/{name}") as file:
        return list(yaml.safe_load_all(file))


def scripts(document):
    """Every string of a document, wherever it stands."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        return [text for each in document for text in scripts(each)]
    return [document] if isinstance(document, str) else []


@pytest.mark.parametrize("names", [["kubernetes/shards.yaml", "kubernetes/merge.yaml"], ["ci/github.yml"],
                                   ["ci/gitlab.yml"]])
def test_each_splits_writes_reports_and_merges_them(names):
    texts = scripts([load(name) for name in names])
    text = "\n".join(texts) + "\n" + " ".join(texts)
    assert re.search(r"vmtest --shard ", text)
    assert re.search(r'--report "json=', text)
    assert re.search(r"vmtest merge /?reports --report json=", text)


def test_kubernetes_has_as_many_completions_as_shards():
    claim, shards = load("kubernetes/shards.yaml")
    (merge,) = load("kubernetes/merge.yaml")
    assert [each["kind"] for each in (claim, shards, merge)] == ["PersistentVolumeClaim", "Job", "Job"]
    assert [each["apiVersion"] for each in (claim, shards, merge)] == ["v1", "batch/v1", "batch/v1"]
    spec = shards["spec"]
    assert spec["completionMode"] == "Indexed"
    (container,) = spec["template"]["spec"]["containers"]
    assert f"--shard auto/{spec['completions']} " in container["args"][0]
    for job in (shards, merge):
        pod = job["spec"]["template"]["spec"]
        assert pod["restartPolicy"] in ("Never", "OnFailure")
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} <= volumes
        assert all(volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"] for volume in pod["volumes"])


def test_kubernetes_takes_no_result_of_an_earlier_run():
    """A Job that is complete is not started again by `apply`, and a pod that is lost leaves what it knew."""
    with open(f"{EXAMPLES}/kubernetes/shards.yaml") as file:
        commands = re.findall(r"^#   (kubectl .*)$", file.read(), re.MULTILINE)
    assert commands[0] == "kubectl delete --ignore-not-found -f merge.yaml -f shards.yaml"
    assert [command.split(" && ")[0] for command in commands[1:]] == ["kubectl apply -f shards.yaml",
                                                                     "kubectl apply -f merge.yaml"]
    _, shards = load("kubernetes/shards.yaml")
    (container,) = shards["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    assert "report=/reports/$POD_NAME.json" in container["args"][0].splitlines()


def test_github_numbers_its_shards_from_one_without_a_gap():
    (workflow,) = load("ci/github.yml")
    assert True in workflow  # `on`, as YAML 1.1 reads it
    shard, merge = workflow["jobs"]["shard"], workflow["jobs"]["vmtest"]
    numbers = shard["strategy"]["matrix"]["shard"]
    assert numbers == list(range(1, len(numbers) + 1)) and shard["strategy"]["fail-fast"] is False
    assert merge["needs"] == "shard" and merge["if"] == "always()"
    for job in (shard, merge):
        assert job["runs-on"] and all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_gitlab_merges_whatever_became_of_the_shards():
    (pipeline,) = load("ci/gitlab.yml")
    shard, merge = pipeline["shard"], pipeline["vmtest"]
    assert shard["parallel"] > 1 and "--shard auto " in shard["script"][0]
    assert shard["artifacts"]["when"] == "always" and shard["allow_failure"] is True
    assert merge["when"] == "always" and merge["needs"] == ["shard"] and "allow_failure" not in merge
    assert {shard["stage"], merge["stage"]} <= set(pipeline["stages"])


@pytest.mark.parametrize("name", ["slurm/submit", "slurm/vmtest-array.sbatch"])
def test_the_scripts_of_slurm_are_good_shell(name):
    path = f"{EXAMPLES}/{name}"
    assert subprocess.run(["bash", "-n", path], timeout=60, check=False).returncode == 0
    if os.path.exists("/usr/bin/shellcheck"):
        done = subprocess.run(["shellcheck", path], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
