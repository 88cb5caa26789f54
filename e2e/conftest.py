import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from e2e.failures import BROKEN_AT, keep
from e2e.figures import Figures
from e2e.installation import NAMESPACE, install_operator, install_prometheus, require_cluster, throwaway_namespace
from e2e.kubectl import ROOT, Kubectl
from e2e.llmdeployment import SERVINGS
from e2e.running_operator import RunningOperator

FIGURES = pytest.StashKey[Figures]()

sys.path.append(str(ROOT))  # what reads the documentation is in `tests`, which is found from the repository's root


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--serving", choices=SERVINGS, default="llama-cpp", help="how the demand story serves its model")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install what every scenario stands on, once and before the workers, who share it."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        kubectl = Kubectl()
        require_cluster(kubectl)
        install_prometheus(kubectl)
        install_operator(kubectl)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's figures to the process that prints them."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["figures"] = session.config.stash[FIGURES].rows


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's figures; one that died has none."""
    node.config.stash[FIGURES].rows.extend(getattr(node, "workeroutput", {}).get("figures", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures.rows:
        terminalreporter.section("figures of this run")
        terminalreporter.write_line(figures.table())


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    return Kubectl()


@pytest.fixture(scope="session")
def operator(cluster: Kubectl) -> RunningOperator:
    return RunningOperator(cluster.within(NAMESPACE))


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, cluster: Kubectl) -> Iterator[Kubectl]:
    """A namespace of its own for each module; the next module does not wait until it is gone.

    It enforces the restricted Pod Security Standard, unless the module's `POD_SECURITY` names another one.
    """
    pod_security = getattr(request.module, "POD_SECURITY", "restricted")
    promise = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with throwaway_namespace(cluster, f"e2e-{promise}", pod_security=pod_security) as made:
        yield made


@pytest.fixture
def unbroken(request: pytest.FixtureRequest) -> None:
    """Do not go on with a story that has broken off: what follows would fail for a reason that is not its own."""
    if (broken_at := request.node.parent.stash.get(BROKEN_AT, None)) is not None:
        pytest.skip(f"the story broke off at {broken_at}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a failure, keep what the cluster looked like."""
    report = yield
    if report.failed and isinstance(item, pytest.Function) and item.parent is not None:
        item.parent.stash.setdefault(BROKEN_AT, item.name)
        report.sections.append(("cluster", f"resources, events and logs are in {keep(item.name, item.funcargs)}"))
    return report
