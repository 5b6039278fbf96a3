"""What runs on a pull request: actions by their commits, and nothing of the request where comments can be written."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
# Commands of the job that may write; none runs what a checkout holds.
READING = {"for", "do", "done", "echo", "git diff", "cat", "gh pr comment", "#"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action) for action in used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_who_may_write_runs_nothing_of_the_pull_request(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in path.read_text()
    for job in workflow["jobs"].values():
        if "write" in job.get("permissions", {}).values():
            assert [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step] == ["actions/checkout"]
            lines = [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]
            assert all(any(line.startswith(known) for known in READING) for line in lines), lines
        # A token of another kind than the job's own stays in no checkout.
        for step in job["steps"]:
            assert "checkout" not in step.get("uses", "") or step["with"]["persist-credentials"] is False
