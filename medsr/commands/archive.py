"""What `medsr volume` and `medsr upscale` do with an archive: fetch series, work on them as on files, send results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.batch.outcome import Outcome
from medsr.batch.progress import progress
from medsr.core.errors import ArchiveError, ChoiceError, DependencyError, MedsrError, UsageError
from medsr.core.types import Notify
from medsr.io.dicomweb.address import check_address, is_valid_uid, origin
from medsr.io.dicomweb.credentials import PREFIX, SECOND_PREFIX, credentials_for
from medsr.io.dicomweb.origins import Origin, note_origin, temporary_folder, without_temporary

if TYPE_CHECKING:
    from medsr.io.dicomweb.client import Client
    from medsr.io.dicomweb.listing import ArchivedSeries

PARAMETERS = ("from_archive", "study", "to_archive", "ca")
"""Of a command that can use archives; any of them leads it here."""


@dataclass(frozen=True)
class Route:
    """Where scans come from and results go to. `series`: as the user names them."""

    source: Client | None
    study: str
    series: list[str]
    target: Client | None


def through_archive(command: Callable[..., Any], arguments: dict[str, Any], inputs: str) -> list[Outcome]:
    """Call `command` with its `arguments`, as if the series lay in folders; what it writes is sent.

    `inputs`: the name of the parameter that takes the scans. Raises UsageError where the arguments do not fit together,
    ArchiveError where the archive does not give what it should, ChoiceError where a series must be chosen.
    """
    options = dict(arguments)
    route = _route(options, inputs)
    deliver = _Delivery(route.target, options["on_outcome"])
    notify: Notify = options["notify"]
    options |= {"on_outcome": deliver.take, "notify": lambda line: notify(without_temporary(line))}
    failed: list[Outcome] = []
    with ExitStack() as stack:
        if route.target is not None:
            from medsr.io.dicomweb.sending import check_target

            check_target(route.target)
            if not options["out"]:
                options["out"] = deliver.hidden = stack.enter_context(temporary_folder()) / "results"
        if route.source is not None:
            root = stack.enter_context(temporary_folder())
            chosen, failed = _fetch(route, root, options["notify"], whole=bool(options.get("together")))
            for outcome in failed:
                deliver.on_outcome(outcome)
            one_folder = "scans" not in options  # images keep the name of their series' folder
            options[inputs] = [root] if one_folder else [root / series.uid for series in chosen]
            volumes = [series.volume for series in chosen if series.volume]
            options["series"] = f":{volumes[0]}" if volumes else None
        try:
            outcomes: list[Outcome] = command(**options)
        except MedsrError as error:
            raise _plain(error) from error.__cause__
        return [*failed, *(deliver.delivered.get(id(outcome), outcome) for outcome in outcomes)]


def _route(options: dict[str, Any], inputs: str) -> Route:
    """What of the arguments is of archives, taken out of them."""
    source, study, target, ca = (options.pop(name) for name in PARAMETERS)
    named = options["series"]
    names = [named] if isinstance(named, str) else list(named or ())
    _check(options, source, study, target, inputs)
    if source is None:
        return Route(None, "", [], _open(target, "to_archive", PREFIX, ca))
    client = _open(source, "from_archive", PREFIX, ca)
    if target is None:
        return Route(client, study, names, None)
    same = origin(check_address(target, "to_archive")) == origin(client.address)
    return Route(client, study, names, _open(target, "to_archive", PREFIX if same else SECOND_PREFIX, ca))


def _check(options: dict[str, Any], source: Any, study: Any, target: Any, inputs: str) -> None:
    """Raise UsageError where the arguments do not fit together."""
    if source is None and target is None:
        raise UsageError("`study` and `ca` go with an archive: name it with `from_archive` or `to_archive`")
    if source is None and study is not None:
        raise UsageError("`study` goes with `from_archive`")
    if source is not None and options[inputs] is not None:
        raise UsageError(f"`{inputs}` and `from_archive`: give files or an archive, not both")
    if source is not None and not study:
        raise UsageError("`from_archive` needs `study`: the StudyInstanceUID of the patient's study")
    if target is not None and options.get("together"):
        raise UsageError("`to_archive`: `together` writes no DICOM series; leave one of them out")
    if target is not None and "dicom" in options:
        options["dicom"] = True
    if source is not None and not is_valid_uid(study):
        raise UsageError("`study`: expected a StudyInstanceUID, numbers with dots between them")


def _open(address: str, parameter: str, prefix: str, ca: str | Path | None) -> Client:
    """The client of an archive. Nothing is asked yet."""
    address = check_address(address, parameter)
    credentials = credentials_for(address, prefix, ca)
    try:
        from medsr.io.dicomweb.client import Client
    except ImportError as error:
        raise DependencyError(f"`{parameter}` needs {error.name}: pip install 'medsr[dicomweb]'") from error
    return Client(address, credentials)


def _fetch(route: Route, root: Path, notify: Notify, whole: bool) -> tuple[list[ArchivedSeries], list[Outcome]]:
    """The chosen series, each in a folder of its own below `root`, and those that did not come, with the reason.

    Raises ArchiveError where none comes; with `whole` where one does not.
    """
    from medsr.io.dicomweb.listing import choose

    client = route.source
    assert client is not None
    chosen = choose(client, route.study, route.series)
    if len(chosen) > 1 and any(series.volume for series in chosen):
        raise UsageError("`series`: a volume (`:N`) is taken of one series; name that series alone")
    fetched: list[ArchivedSeries] = []
    failed: list[Outcome] = []
    for series in chosen:
        notify(f"{client.address}: series {series.listed.number}: {series.listed.words}")
        try:
            _fetch_one(client, route.study, series.uid, root / series.uid)
            fetched.append(series)
        except ArchiveError as error:
            if whole or (series is chosen[-1] and not fetched):
                raise
            shutil.rmtree(root / series.uid, ignore_errors=True)
            failed.append(Outcome(Path(series.uid), Path(series.uid), 0.0, error))
    return fetched, failed


def _fetch_one(client: Client, study: str, series: str, folder: Path) -> None:
    from medsr.io.dicomweb.fetching import content_of, fetch_series

    content = content_of(client, study, series)
    with progress("fetch", len(content.instances)) as update:
        fetch_series(client, content, folder, update)
    note_origin(folder, Origin(client.address, study, series))


class _Delivery:
    """Sends every result as soon as it is there; `delivered`: the outcomes, by those before they were sent.

    `hidden`: the folder of results where that is gone in the end.
    """

    def __init__(self, target: Client | None, on_outcome: Callable[[Outcome], None]) -> None:
        self.target, self.on_outcome = target, on_outcome
        self.hidden: Path | None = None
        self.delivered: dict[int, Outcome] = {}
        self._kept: list[Outcome] = []  # so that no id comes twice

    def take(self, outcome: Outcome) -> None:
        """Send the result of an outcome, whoever made it and when, and pass the outcome on."""
        self._kept.append(outcome)
        delivered = replace(outcome, input=Path(without_temporary(str(outcome.input))))
        if outcome.error is not None:
            delivered = replace(delivered, error=_plain(outcome.error))
        elif self.target is not None:
            delivered = self._sent(self.target, outcome.output, delivered)
        if self.hidden is not None and outcome.output.is_relative_to(self.hidden):
            delivered = replace(delivered, output=outcome.output.relative_to(self.hidden))
        self.delivered[id(outcome)] = delivered
        self.on_outcome(delivered)

    def _sent(self, target: Client, output: Path, outcome: Outcome) -> Outcome:
        from medsr.io.dicomweb.sending import send_files

        paths = sorted(output.glob("*.dcm")) if output.is_dir() else [output]
        try:
            with progress("send", len(paths)) as update:
                sent = send_files(target, paths, update)
        except ArchiveError as error:
            return replace(outcome, error=_plain(error))
        except MedsrError as error:
            return replace(outcome, error=error)
        notes = [f"sent to {target.address}: {sent.images} image{'s' * (sent.images > 1)}, series {sent.series[0]}"]
        if sent.changed:
            notes.append(f"warning: the archive says that it has changed or doubts {sent.changed} of them")
        return replace(outcome, notes=(*outcome.notes, *notes))


def _plain(error: MedsrError) -> MedsrError:
    """The error, without names of folders that are gone."""
    error.args = (without_temporary(str(error)),)
    if isinstance(error, ChoiceError):
        error.headline = without_temporary(error.headline)
    return error
