"""`penstock bucket add | probe | list`. Secrets are read from the environment at that moment, never from the command line."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from penstock.app.probing import probe_bucket
from penstock.app.registering import Check, Exports, NewBucket, register_bucket
from penstock.cli import completing
from penstock.cli.arguments import HOME
from penstock.cli.output import note, print_json, print_table, warn
from penstock.errors import SettingsError
from penstock.model import ENVIRONMENT, Bucket, BucketKind, Credentials, ExportOptions, Verify
from penstock.settings.entries import RESTORE_DAYS_MAX
from penstock.settings.home import probe_command
from penstock.settings.reading import load_registry, open_home
from penstock.stores.abilities import untried
from penstock.stores.keychain import VARIABLES


@click.group()
def bucket() -> None:
    """Buckets: the far end of every dataflow."""


@bucket.command()
@HOME
@click.argument("name")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in BucketKind]), required=True, help="The protocol it speaks."
)
@click.option("--endpoint", default="", help="http[s]://host[:port]; not for kind embedded.")
@click.option("--region", default="", help="Its region, where the endpoint does not name it.")
@click.option(
    "--addressing",
    type=click.Choice(["path", "virtual", "cname"]),
    help="Where requests name the bucket; cname: nowhere, the endpoint is its own domain. [default: virtual for OSS; path for"
    " other S3, IP addresses and bare host names]",
)
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="PEM file that verifies the endpoint.")
@click.option(
    "--credentials",
    "source",
    default="",
    metavar="WHERE",
    help="Where the key pair comes from if it is not kept: environment (of the service), a JSON file that something renews, or"
    " the URL of a role (metadata service).",
)
@click.option("--proxy", default="", metavar="URL", help="http://host:port of an HTTP proxy on the way.")
@click.option("--requester-pays", is_flag=True, help="Whoever asks pays: requests say that this is known.")
@click.option("--no-exports", is_flag=True, help="Refuse tasks that export into it; imports go on.")
@click.option("--storage-class", default="", help="Of exported objects.")
@click.option("--object-acl", default="", help="Of exported objects.")
@click.option("--encryption", default="", help="Of exported objects, by the store: AES256, KMS (s3: aws:kms), ...")
@click.option("--encryption-key", default="", help="Id of the key that the store encrypts them with.")
@click.option(
    "--restore-days",
    type=click.IntRange(0, RESTORE_DAYS_MAX),
    default=0,
    help="Restore archived objects that are to be imported for so many days. [default: refuse them]",
)
@click.option(
    "--verify",
    type=click.Choice([each.value for each in Verify]),
    default=Verify.STORE.value,
    help="read-back: read every exported object once more, whole. [default: what the store tells or checks]",
)
@click.option("--no-tag-check", is_flag=True, help="Do not ask for the tag cpfs-dataflow=true.")
@click.option(
    "--no-versioning-check", is_flag=True, help="Do not ask for versioning where two dataflows share the bucket."
)
def add(
    *,
    home: Path,
    name: str,
    kind: str,
    endpoint: str,
    region: str,
    addressing: str | None,
    ca_file: str | None,
    source: str,
    proxy: str,
    requester_pays: bool,
    no_exports: bool,
    storage_class: str,
    object_acl: str,
    encryption: str,
    encryption_key: str,
    restore_days: int,
    verify: str,
    no_tag_check: bool,
    no_versioning_check: bool,
) -> None:
    """Register the bucket NAME, after trying out what it can do.

    The key pair is read now, from OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET (kind oss) or AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY (kind s3), and kept in HOME/secrets.toml, unless --credentials names another place. Kind embedded
    makes a new bucket in HOME; it needs no keys. A running service sees it within a second.
    """
    added = register_bucket(
        open_home(home),
        NewBucket(
            name=name,
            kind=BucketKind(kind),
            endpoint=endpoint,
            region=region,
            addressing=addressing or "",
            ca_file=os.path.abspath(ca_file) if ca_file else "",
            tag_check=Check.OFF if no_tag_check else Check.ON,
            versioning_check=Check.OFF if no_versioning_check else Check.ON,
            credentials=None if source else _credentials(BucketKind(kind)),
            source=source if source in {"", ENVIRONMENT} or "://" in source else os.path.abspath(source),
            proxy=proxy,
            requester_pays=requester_pays,
            exports=Exports.REFUSED if no_exports else Exports.TAKEN,
            export=ExportOptions(
                storage_class=storage_class, acl=object_acl, encryption=encryption, encryption_key=encryption_key
            ),
            restore_days=restore_days,
            verify=Verify(verify),
        ),
        entropy=os.urandom,
    )
    click.echo(f"{added.bucket.scheme}://{name}")
    for warning in added.warnings:
        warn(warning)


def _credentials(kind: BucketKind) -> Credentials | None:
    if kind not in VARIABLES:
        return None
    key_id, secret, token = (os.environ.get(variable, "") for variable in VARIABLES[kind])
    if not key_id or not secret:
        wanted = " and ".join(VARIABLES[kind][:2])
        raise SettingsError(f"the bucket's key pair is read from the environment: set {wanted}, then try again")
    return Credentials(access_key_id=key_id, access_key_secret=secret, security_token=token)


@bucket.command()
@HOME
@click.argument("name", shell_complete=completing.buckets)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(*, home: Path, name: str, as_json: bool) -> None:
    """Try out once more what the bucket NAME can do, say what differs from what is recorded, and record it.

    For a bucket whose server, versioning or rights have changed, or that an earlier version of Penstock has registered.
    It is written to, as when it was added: small objects .penstock-probe-*, removed again. With --credentials environment the
    key pair is that of this command's environment. A running service sees it within a second.
    """
    probed = probe_bucket(open_home(home), name)
    if as_json:
        print_json({**_as_json(probed.bucket), "differences": [asdict(each) for each in probed.differences]})
    elif probed.differences:
        print_table(
            ["ABILITY", "RECORDED", "FOUND"],
            [[each.ability, *map(_shown, (each.recorded, each.found))] for each in probed.differences],
        )
    note("this is recorded now" if probed.differences else "nothing differs from what is recorded")
    for warning in probed.warnings:
        warn(warning)


def _shown(ability: object) -> str:
    """What is known of an ability, for people."""
    if isinstance(ability, bool):
        return "yes" if ability else "no"
    return "never tried out" if ability is None else str(ability) or "none"


@bucket.command(name="list")
@HOME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, home: Path, as_json: bool) -> None:
    """List the registered buckets and what was found about them."""
    opened = open_home(home)
    found = load_registry(opened).buckets.values()
    for each in found:
        if names := untried(each.abilities):
            warn(
                f"an earlier version has registered bucket {each.name} without trying out {', '.join(names)}: it is taken for not"
                f" able to, so less is promised and compared than could be. Mend it with: {probe_command(opened, each.name)}"
            )
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    print_table(
        ["BUCKET", "KIND", "ENDPOINT", "REGION", "ADDRESSING", "WAIVED", "VERSIONING"],
        [
            [
                f"{each.scheme}://{each.name}",
                each.kind.value,
                each.endpoint or "-",
                each.region,
                each.addressing_style.value,
                _waived(each) or "-",
                each.abilities.get("versioning", "-"),
            ]
            for each in found
        ],
    )


def _waived(bucket: Bucket) -> str:
    checks = {"tag": bucket.tag_check, "versioning": bucket.versioning_check}
    return ", ".join(name for name, wanted in checks.items() if not wanted)


def _place(credentials: str) -> str:
    """Where they come from; without a URL's query, which might hold a secret."""
    return (credentials.partition("?")[0] if "://" in credentials else credentials) or "kept"


def _as_json(bucket: Bucket) -> dict[str, object]:
    return {
        "name": bucket.name,
        "kind": bucket.kind.value,
        "source_storage": f"{bucket.scheme}://{bucket.name}",
        "endpoint": bucket.endpoint or None,
        "region": bucket.region,
        "addressing_style": bucket.addressing_style.value,
        "tag_check": bucket.tag_check,
        "versioning_check": bucket.versioning_check,
        "credentials": _place(bucket.credentials),
        "proxy": bucket.proxy or None,
        "requester_pays": bucket.requester_pays,
        "exports": bucket.exports,
        "export": asdict(bucket.export),
        "restore_days": bucket.restore_days,
        "verify": bucket.verify.value,
        "abilities": dict(bucket.abilities),
        "untried": list(untried(bucket.abilities)),
    }
