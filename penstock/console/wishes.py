"""A dataflow that somebody wants, looked at before it is made: what speaks for it, what against it, and what mends that.

Asks the file system, the store and the API, each for no longer than a bound; at last the API itself, by a dry run, which
decides. Changes nothing.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.console import notes
from penstock.console.checks import LOOK_S, Check, Verdict
from penstock.console.directories import Listed, subdirectories
from penstock.console.flows import Flow, all_flows
from penstock.console.viewer import Viewer
from penstock.errors import NotSupportedError, PermissionDeniedError, SettingsError, StoreError
from penstock.model import Bucket, BucketKind
from penstock.stores.base import Store, Versioning

TAG = ("cpfs-dataflow", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the form says. Paths start and end with `/`. `fset_id` and `throughput` are of general-purpose file systems."""

    file_system_id: str
    path: str
    bucket: str
    prefix: str
    security: str = "None"
    description: str = ""
    fset_id: str = ""
    throughput: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Wish:
        """The form's fields, with the slashes that people leave out."""
        return cls(
            file_system_id=form.get("file_system_id", ""),
            path=as_directory(form.get("path", "")),
            bucket=form.get("bucket", ""),
            prefix=as_directory(form.get("prefix", "")),
            security="SSL" if form.get("security") == "SSL" else "None",
            description=form.get("description", "").strip(),
            fset_id=form.get("fset_id", "").strip(),
            throughput=form.get("throughput", ""),
        )

    @property
    def is_where_its_fileset_is(self) -> bool:
        """Whether no path was chosen, because the fileset has one."""
        return bool(self.fset_id) and self.path == "/"

    def parameters(self, scheme: str) -> dict[str, str]:
        """Of CreateDataFlow."""
        named = {
            "FileSystemId": self.file_system_id,
            "FileSystemPath": self.path,
            "SourceStorage": f"{scheme}://{self.bucket}",
            "SourceStoragePath": self.prefix,
            "SourceSecurityType": self.security,
        }
        if self.is_where_its_fileset_is:
            del named["FileSystemPath"]
        optional = {"Description": self.description, "FsetId": self.fset_id, "Throughput": self.throughput}
        return named | {name: value for name, value in optional.items() if value}


def takes_filesets(file_system_id: str) -> bool:
    """Whether dataflows of that file system are bound to filesets, and have a throughput: those of the general-purpose kind."""
    return file_system_id.startswith("cpfs-")


def as_directory(path: str) -> str:
    """With the slashes that the API asks for at both ends."""
    inner = path.strip().strip("/")
    return f"/{inner}/" if inner else "/"


async def look(viewer: Viewer, wish: Wish) -> tuple[Check, ...]:
    """Everything that is worth knowing before this dataflow is made."""
    bucket = viewer.reach.registry().buckets.get(wish.bucket)
    if bucket is None:
        known = Check(
            name="Bucket",
            verdict=Verdict.BAD,
            words="No bucket of this name is registered.",
            mend=_add(wish, viewer.reach.home),
        )
        return (await _directory(viewer, wish), known)
    directory, (rules, versioned), flows = await asyncio.gather(
        _directory(viewer, wish), _bucket(viewer, bucket), all_flows(viewer)
    )
    found = (directory, *rules, *_beside(wish, flows, bucket, versioned=versioned))
    if any(each.verdict is Verdict.BAD for each in found):
        return found
    return (*found, await _rehearsal(viewer, wish, bucket))


# ----------------------------------------------------------------------------------------------------------- the directory


async def _directory(viewer: Viewer, wish: Wish) -> Check:
    file_system = viewer.reach.registry().file_systems.get(wish.file_system_id)
    if file_system is None or not viewer.sees(wish.file_system_id):
        return Check(name="Directory", verdict=Verdict.BAD, words="There is no such file system.")
    try:
        found: Listed = await viewer.reach.file_systems.ask(
            wish.file_system_id, lambda: subdirectories(file_system, wish.path, limit_s=LOOK_S), limit_s=LOOK_S
        )
    except TimeoutError:
        words = "The file system does not answer. Is it mounted, and its server up?"
        return Check(name="Directory", verdict=Verdict.BAD, words=words, mend=f"ls {shlex.quote(file_system.root)}")
    if found.trouble:
        return Check(name="Directory", verdict=Verdict.BAD, words=found.trouble, mend=found.mend)
    return Check(name="Directory", verdict=Verdict.GOOD, words=f"{wish.path} is there.")


# -------------------------------------------------------------------------------------------------------------- the bucket


async def _bucket(viewer: Viewer, bucket: Bucket) -> tuple[tuple[Check, ...], bool]:
    """What its store says, and whether it keeps versions."""
    try:
        return await viewer.reach.stores.ask(
            bucket.name, lambda: _rules(bucket, viewer.reach.open_bucket(bucket)), limit_s=LOOK_S
        )
    except TimeoutError:
        words = "The store does not answer. Is its address right, and is it up?"
    except (SettingsError, PermissionDeniedError):
        words = "The store refuses the credentials that are configured for this bucket, or there are none."
    except StoreError as error:
        words = f"{error}"
    mend = f"penstock bucket probe {shlex.quote(viewer.reach.home)} {bucket.name}"
    return (Check(name="Bucket", verdict=Verdict.BAD, words=words, mend=mend),), False


def _rules(bucket: Bucket, store: Store) -> tuple[tuple[Check, ...], bool]:
    try:
        has_tag = not bucket.tag_check or store.bucket_tags().get(TAG[0]) == TAG[1]
        versioned = not bucket.versioning_check or _keeps_versions(store)
    finally:
        store.close()
    if has_tag:
        words = f"It answers, and carries the tag {TAG[0]}={TAG[1]}." if bucket.tag_check else "It answers."
        return (Check(name="Bucket", verdict=Verdict.GOOD, words=words),), versioned
    words = f"It does not carry the tag {TAG[0]}={TAG[1]}, with which its owner allows dataflows."
    return (Check(name="Bucket", verdict=Verdict.BAD, words=words, mend=tag_command(bucket)),), versioned


def _keeps_versions(store: Store) -> bool:
    try:
        return store.versioning() is Versioning.ENABLED
    except NotSupportedError:
        return False


def tag_command(bucket: Bucket) -> str:
    """What sets the tag, with the store's own program."""
    if bucket.kind is BucketKind.S3:
        tags = shlex.quote(f"TagSet=[{{Key={TAG[0]},Value={TAG[1]}}}]")
        return f"aws s3api put-bucket-tagging --endpoint-url {bucket.endpoint} --bucket {bucket.name} --tagging {tags}"
    return f"ossutil bucket-tagging --method put oss://{bucket.name} {TAG[0]}#{TAG[1]} -e {bucket.endpoint}"


def version_command(bucket: Bucket) -> str:
    """What has the bucket keep versions."""
    if bucket.kind is BucketKind.S3:
        return (
            f"aws s3api put-bucket-versioning --endpoint-url {bucket.endpoint} --bucket {bucket.name} "
            "--versioning-configuration Status=Enabled"
        )
    return f"ossutil bucket-versioning --method put oss://{bucket.name} enabled -e {bucket.endpoint}"


def _add(wish: Wish, home: str) -> str:
    return (
        f"penstock bucket add {shlex.quote(home)} {shlex.quote(wish.bucket or 'NAME')} --kind oss --endpoint https://…"
    )


# ------------------------------------------------------------------------------------------------------- beside the others


def _beside(wish: Wish, flows: Iterable[Flow], bucket: Bucket, *, versioned: bool) -> tuple[Check, ...]:
    """How it goes together with the dataflows that there are."""
    checks: list[Check] = []
    sharing = [flow for flow in flows if flow.bucket == wish.bucket]
    here = [flow for flow in flows if flow.file_system_id == wish.file_system_id]
    taken = next((flow for flow in here if flow.path == wish.path and flow.bucket != wish.bucket), None)
    if taken is not None:
        words = f"{wish.path} is bound to {taken.storage} by dataflow {taken.id}."
        advice = "Choose another directory, or delete that dataflow first: a directory is bound to one bucket only."
        checks.append(Check(name="Other dataflows", verdict=Verdict.BAD, words=words, advice=advice))
    if sharing and not versioned:
        words = f"Dataflow {sharing[0].id} uses this bucket; a second one needs the bucket to keep versions."
        checks.append(Check(name="Versioning", verdict=Verdict.BAD, words=words, mend=version_command(bucket)))
    checks += overlaps(wish, flows)
    if not checks:
        checks.append(Check(name="Other dataflows", verdict=Verdict.GOOD, words="None is in the way."))
    return tuple(checks)


def overlaps(wish: Wish, flows: Iterable[Flow]) -> list[Check]:
    """Where both this one and another one may write: at each end the first such dataflow."""
    checks: list[Check] = []
    beside = (flow for flow in flows if flow.file_system_id == wish.file_system_id and _nested(flow.path, wish.path))
    for flow in () if wish.is_where_its_fileset_is else beside:
        if flow.path == wish.path and flow.bucket != wish.bucket:
            continue  # which is refused
        advice = "Choose a directory beside it, or see that imports of both never name one file."
        checks.append(_overlap("Directory", wish.path, flow.path, flow, advice))
        break
    for flow in flows:
        if flow.bucket == wish.bucket and _nested(flow.prefix, wish.prefix):
            advice = "Choose a prefix beside it, or see that exports of both never name one object."
            checks.append(_overlap("Prefix", wish.prefix, flow.prefix, flow, advice))
            break
    return checks


def _overlap(what: str, ours: str, theirs: str, flow: Flow, advice: str) -> Check:
    other = f"dataflow {flow.id} ({flow.path} ↔ {flow.source})"
    if ours == theirs:
        words = f"{what} {ours} is that of {other}, too: both may write to the same place."
    elif ours.startswith(theirs):
        words = f"{what} {ours} lies in {theirs} of {other}: what one writes may be the other's."
    else:
        words = f"{what} {theirs} of {other} lies in {ours}: what one writes may be the other's."
    return Check(name="Other dataflows", verdict=Verdict.WARNS, words=words, advice=advice)


def _nested(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


async def _rehearsal(viewer: Viewer, wish: Wish, bucket: Bucket) -> Check:
    result = await viewer.perform("CreateDataFlow", {**wish.parameters(bucket.scheme), "DryRun": "true"})
    if result.ok:
        return Check(name="Rehearsal", verdict=Verdict.GOOD, words="The service would make it.")
    advice = notes.advice(result.code, viewer.reach.home) or "Change what it says, and check again."
    return Check(name="Rehearsal", verdict=Verdict.BAD, words=f"{result.message} ({result.code})", advice=advice)
