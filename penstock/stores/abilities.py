"""Abilities as plain values, the way the registry keeps them. Pure; unknown names are passed over, for newer files."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.errors import SettingsError
from penstock.stores.base import Abilities, Checksum, Versioning

FLAGS = ("create_only_put", "create_only_complete", "crc64", "part_etag_is_md5", "bucket_tags", "content_md5")


def abilities_to_mapping(abilities: Abilities) -> dict[str, str | bool | int]:
    """Names and plain values, as `model.Bucket.abilities` holds them."""
    flags: dict[str, str | bool | int] = {name: bool(getattr(abilities, name)) for name in FLAGS}
    return {**flags, "checksum": abilities.checksum.value, "versioning": abilities.versioning.value}


def untried(mapping: Mapping[str, str | bool | int]) -> tuple[str, ...]:
    """What an earlier version did not try out when it recorded the bucket, as far as anything follows from it."""
    if mapping.get("crc64") is True:  # then that is compared, whatever else the store could compare
        mapping = {"content_md5": False, "checksum": "", **mapping}
    return tuple(name for name in (*FLAGS, "checksum", "versioning") if name not in mapping)


def abilities_from_mapping(mapping: Mapping[str, str | bool | int]) -> Abilities:
    """The other way round; what is missing is taken as not able. Raises SettingsError for a value of the wrong kind."""
    flags: dict[str, bool] = {}
    for name in FLAGS:
        value = mapping.get(name, False)
        if not isinstance(value, bool):
            raise SettingsError(
                f"the bucket's ability {name} must be true or false, not {value!r}: mend it with `penstock bucket probe`"
            )
        flags[name] = value
    state, checksum = mapping.get("versioning", Versioning.NEVER.value), mapping.get("checksum", "")
    try:
        return Abilities(**flags, checksum=Checksum(str(checksum)), versioning=Versioning(str(state)))
    except ValueError as error:
        raise SettingsError(
            f"the bucket's versioning cannot be {state!r}, or its checksum {checksum!r}: mend it with"
            " `penstock bucket probe`"
        ) from error
