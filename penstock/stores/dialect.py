"""What differs between the protocols of OSS and S3, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.model import ExportOptions
from penstock.stores.base import Checksum, Limits, StoreOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One protocol.

    `encodes_uploads`: the multipart calls take `encoding-type=url` (Ceph RGW 16 encodes but does not say so, moto does
    neither: there it is not asked). `export_names` are the headers of `ExportOptions`' fields; those of `at_complete` go with
    Complete instead of Initiate. `checksums` are worth being tried, the cheapest first. `requester_pays` are headers of all
    requests. `standard` has an object kept in the standard class whatever the bucket's own is.
    """

    prefix: str
    limits: Limits
    create_only: Mapping[str, str]
    range_headers: Mapping[str, str]
    decode: Callable[[str], str]
    encodes_uploads: bool
    export_names: Mapping[str, str]
    at_complete: frozenset[str]
    requester_pays: Mapping[str, str]
    checksums: Sequence[Checksum]
    standard: Mapping[str, str]

    def export_headers(self, options: ExportOptions) -> dict[str, str]:
        """What PUT and Initiate carry for these options."""
        return self._headers(options, lambda field: field not in self.at_complete)

    def complete_headers(self, options: ExportOptions) -> dict[str, str]:
        """What PUT and Complete carry for them."""
        return self._headers(options, lambda field: field in self.at_complete)

    def probing(self, options: StoreOptions) -> StoreOptions:
        """The same options with objects in the standard class: what is removed at once is to be paid for no month of another."""
        kept = {
            name: value for name, value in options.export_headers.items() if name != self.export_names["storage_class"]
        }
        return replace(options, export_headers={**kept, **self.standard})

    def _headers(self, options: ExportOptions, wanted: Callable[[str], bool]) -> dict[str, str]:
        told = {field: str(getattr(options, field)) for field in self.export_names if wanted(field)}
        return {self.export_names[field]: value for field, value in told.items() if value}
