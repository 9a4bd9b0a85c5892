"""``ostraka demo``: the story, measured."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from ostraka_issuer.desk.demo.report import Ending, Report, StepReport
from ostraka_issuer.desk.demo.story import play
from ostraka_issuer.desk.signals import Ended, until_signalled
from ostraka_issuer.desk.stack import StackOptions, topic_prefix

from .dev import RealKafka, progress
from .exits import Exit
from .guard import guarded
from .options import Json
from .output import Output, standard_output
from .passwords import generate_password
from .workplace import workplace

_STYLES = {Ending.PASSED: ("✓", "green"), Ending.FAILED: ("✗", "bold red"), Ending.SKIPPED: ("-", "yellow")}
_MARGIN = " " * 12


@guarded
def demo(
    kafka: RealKafka = None,
    kafka_pid: Annotated[
        int | None,
        typer.Option("--kafka-pid", min=2, help="Process of that Kafka, on this machine: freeze it for the outage."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play the story against a fresh system on this machine, and measure it. Less than a minute.

    Exit code 0 only if every step did what it says. Milliseconds are counted from the commit of a revocation in the
    issuer to the first refusal as a caller sees it, in real orders a few milliseconds apart.

    Examples:

        ostraka demo

        ostraka demo --kafka localhost:9092 --json
    """
    if kafka_pid is not None and kafka is None:
        raise typer.BadParameter("there is no --kafka that it could belong to", param_hint="--kafka-pid")
    output = Output(as_json)
    with workplace("demo", output) as place, progress() as say:
        options = StackOptions(
            directory=place.path, kafka=kafka, topics=topic_prefix() if kafka else "", password=generate_password()
        )

        def tell(step: StepReport) -> None:
            if not as_json:
                say("")
                standard_output().print(_step(step))

        story = play(options, kafka_pid=kafka_pid, progress=say, tell=tell)
        try:
            report = asyncio.run(until_signalled(story))
        except Ended as ended:
            raise KeyboardInterrupt from ended
        place.keep = not report.passed
    output.result(report.to_dict(), _summary(report))
    if not report.passed:
        raise typer.Exit(Exit.FAILED)


def _step(step: StepReport) -> Text:
    mark, style = _STYLES[step.ending]
    text = Text.assemble(f"{step.at:7.3f} s  ", (f"{mark} ", style), (step.title, "bold"))
    if step.why is not None:
        text.append(f"\n{_MARGIN}{step.why}", style=style)
    for fact in step.outcome.facts:
        text.append(f"\n{_MARGIN}{fact}")
    width = max((len(cut.service) for cut in step.outcome.cut_offs), default=0)
    for cut in step.outcome.cut_offs:
        text.append(f"\n{_MARGIN}{cut.service.ljust(width)}  committed → refused ")
        text.append(f"{cut.milliseconds:6.1f} ms", style="bold cyan")
        text.append(f"   {cut.refused} refused, none accepted after the first", style="dim")
    return text


def _summary(report: Report) -> Text:
    verdict = ("every step did what it says", "bold green") if report.passed else ("a step failed", "bold red")
    skipped = sum(step.ending is Ending.SKIPPED for step in report.steps)
    left_out = f", but {skipped} was left out" if skipped else ""
    where = f"{report.decisions} decisions in {report.seconds:.1f} s on {report.broker}"
    return Text.assemble("\n", verdict, left_out, f"; {where}")
