"""Learn: four steps that a newcomer takes for real, on the embedded bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.calling import caller_of
from penstock.console.example import DIRECTORY, FILE, example_checksum, make_directory, put_object
from penstock.console.lesson import IMPORT, POLICY, Lesson, lesson_of
from penstock.console.lesson_calls import calls_of
from penstock.console.rendering import back_to, not_found, refused, render
from penstock.console.viewer import Result, Viewer, viewer_of
from penstock.errors import SettingsError, StoreError

LEARN = "/learn"
LOOK_S = 15.0

Step = Callable[[Viewer, Lesson], Awaitable[Result | None]]


async def show(request: Request) -> Response:
    """How far it is, and what is next."""
    viewer = viewer_of(request)
    lesson = await lesson_of(viewer)
    if lesson.place is None:
        return render(request, "learn/nothing.html", lesson=lesson)
    return render(
        request,
        "learn/steps.html",
        lesson=lesson,
        calls=calls_of(lesson, caller_of(viewer), viewer.reach.home),
        checksum=await asyncio.to_thread(example_checksum) if lesson.step == 5 else "",
        target=f"{lesson.place.root.rstrip('/')}{DIRECTORY.rstrip('/')}{FILE}",
    )


def _taking(step: Step) -> Callable[[Request], Awaitable[Response]]:
    """A handler that takes one step, if it is that one's turn, and shows what came of it."""

    async def take(request: Request) -> Response:
        viewer = viewer_of(request)
        lesson = await lesson_of(viewer)
        if lesson.place is None:
            return not_found(request, "lesson")
        result = await step(viewer, lesson)
        return refused(request, result) if result is not None and not result.ok else back_to(LEARN)

    return take


async def _bind(viewer: Viewer, lesson: Lesson) -> Result | None:
    place, bucket = lesson.place, lesson.bucket
    if lesson.step != 1 or place is None or bucket is None:
        return None
    try:
        trouble = await viewer.reach.file_systems.ask(
            place.file_system_id, lambda: make_directory(place), limit_s=LOOK_S
        )
    except TimeoutError:
        trouble = "The file system does not answer. Is it mounted, and its server up?"
    if trouble:
        return _cannot(trouble)
    named = {"FileSystemPath": DIRECTORY, "SourceStorage": f"oss://{bucket.name}", "SourceStoragePath": DIRECTORY}
    return await viewer.perform(
        "CreateDataFlow", {"FileSystemId": place.file_system_id, "Description": "Learn", **named}
    )


async def _open(viewer: Viewer, lesson: Lesson) -> Result | None:
    if lesson.step != 2 or lesson.flow is None:
        return None
    named = {"TaskAction": IMPORT, "DataType": "MetaAndData", "ConflictPolicy": POLICY}
    return await viewer.perform("CreateDataFlowTask", {**_ids(lesson), **named})


async def _move(viewer: Viewer, lesson: Lesson) -> Result | None:
    """Again and again, as often as it is asked for: each time is a sub-task of its own."""
    bucket = lesson.bucket
    if lesson.stream is None or bucket is None or (lesson.moved is not None and not lesson.moved.is_over):
        return None
    try:
        await viewer.reach.stores.ask(bucket.name, lambda: put_object(bucket, viewer.reach.open_bucket), limit_s=LOOK_S)
    except (TimeoutError, SettingsError, StoreError) as error:
        return _cannot(f"The example could not be put into the bucket: {error or 'the store does not answer'}.")
    named = {"DataFlowTaskId": lesson.stream.id, "SrcFilePath": FILE, "DstFilePath": FILE}
    return await viewer.perform("CreateDataFlowSubTask", {**_ids(lesson), **named})


async def _tidy(viewer: Viewer, lesson: Lesson) -> Result | None:
    """Away with the dataflow and its stream. The file stays: it is the visitor's now."""
    if lesson.flow is None:
        return None
    if lesson.stream is not None:
        result = await viewer.perform("CancelDataFlowTask", {**_ids(lesson), "TaskId": lesson.stream.id})
        if not result.ok:
            return result
    return await viewer.perform("DeleteDataFlow", _ids(lesson))


def _ids(lesson: Lesson) -> Mapping[str, str]:
    assert lesson.flow is not None
    return {"FileSystemId": lesson.flow.file_system_id, "DataFlowId": lesson.flow.id}


def _cannot(words: str) -> Result:
    return Result(
        status=409, code="Learn", message=words, advice="Mend that, and take the step again.", request_id="", body={}
    )


ROUTES = (
    Route(LEARN, show, methods=["GET"]),
    Route(f"{LEARN}/flow", _taking(_bind), methods=["POST"]),
    Route(f"{LEARN}/task", _taking(_open), methods=["POST"]),
    Route(f"{LEARN}/file", _taking(_move), methods=["POST"]),
    Route(f"{LEARN}/tidy", _taking(_tidy), methods=["POST"]),
)
