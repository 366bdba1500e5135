"""`hetao demo`: the main job on embedded defaults, with real files and strangers' tools; ends by itself."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.desk import out

Keep = Annotated[bool, typer.Option("--keep", help="Leave the gateway running until Ctrl-C, and the folder for good.")]
Language = Annotated[str, typer.Option("--lang", help="Language of remedies: en, zh-Hans, zh-Hant.")]


def demo(
    keep: Keep = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to work; a fresh temporary folder by default.")
    ] = None,
    lang: Language = "en",
) -> None:
    """Send four datasets from Shenzhen to Hong Kong: allowed, judged, documented, refused; check every proof."""
    # The story needs what only the demo extra installs; other commands must not.
    from gateway.cli.demo.story import Story  # noqa: PLC0415  # the reason above
    from gateway.cli.demo.world import World  # noqa: PLC0415  # the reason above

    began = time.monotonic()
    work = folder or Path(tempfile.mkdtemp(prefix="hetao-demo-"))
    work.mkdir(parents=True, exist_ok=True)
    world = World(work)
    try:
        Story(world, out, lang).run()
        out.print(f"every step held, {time.monotonic() - began:.0f} s", highlight=False)
        _look_next(world.url, world.metrics_port, work, keep=keep)
        if keep:
            _wait_for_ctrl_c()
    finally:
        world.stop()
        if folder is None and not keep:
            shutil.rmtree(work, ignore_errors=True)


def _look_next(url: str, metrics_port: int, work: Path, *, keep: bool) -> None:
    if keep:
        out.print(
            f"running: {url}, metrics at http://127.0.0.1:{metrics_port}/metrics, everything in {work}", soft_wrap=True
        )
        out.print(
            f"try: hetao transfers list --config {work / 'gateway' / 'gateway.toml'}   (Ctrl-C ends it)", soft_wrap=True
        )
    else:
        out.print("next: `make demo ARGS=--keep` leaves it running; README.md does the same by hand", highlight=False)


def _wait_for_ctrl_c() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        out.print("ended")
