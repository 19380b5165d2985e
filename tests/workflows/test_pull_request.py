"""A pull request's model against its base's, as the workflow would compare them: nothing of production is asked or moved."""

from tests.workflows.repository import Repository


def test_the_comparison_is_a_comment_and_moves_no_alias(tmp_path):
    repository = Repository(tmp_path)
    base = repository.git("rev-parse", "HEAD")
    repository.search(trials=5)
    head = repository.commit("A shorter search")
    pull_request = {"base": {"sha": base}, "head": {"sha": head, "repo": {"full_name": "owner/churn"}}, "number": 7}
    event = {"event_name": "pull_request", "event": {"pull_request": pull_request}, "ref": "refs/pull/7/merge"}

    jobs = repository.happens("training.yaml", event)
    results = {name: job.result for name, job in jobs.items()}
    assert results == {"train": "skipped", "approve": "skipped", "deploy": "skipped", "compare": "success", "comment": "success"}, (
        repository.why()
    )
    comparison = (repository.root / "comparison.md").read_text()
    assert comparison.startswith("## This change's model would be: ")
    assert "nothing was promoted" in comparison
    assert "| challenger | champion |" in comparison
    assert jobs["compare"].summary == comparison
    assert repository.asked_of_github() == ["pr comment 7 --body-file comparison.md --edit-last --create-if-none"]
