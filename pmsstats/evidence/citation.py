"""Where a published value stands in print."""

from __future__ import annotations

from dataclasses import dataclass

from pmsstats.errors import SchemaError

__all__ = ["Citation"]

_DOI_URL = "https://doi.org/"


@dataclass(frozen=True, kw_only=True)
class Citation:
    """One publication.

    Parameters
    ----------
    key : str
        Short name: first author and year, ``"azevedo2018"``.
    authors : str
        As printed, or the first and "et al."; empty where they are not known for certain.
    year : int
        Of print.
    journal : str
        Abbreviated; a registry or congress where there is no journal.
    title : str
        Empty where it is not known for certain.
    volume, pages : str
        As printed.
    doi, pmid, pmcid, url : str
        Identifiers, each empty where it is not known for certain.
    note : str
        What a reader should know about the source.

    Raises
    ------
    SchemaError
        If the year is none, or a DOI does not start with ``10.``.
    """

    key: str
    authors: str
    year: int
    journal: str
    title: str = ""
    volume: str = ""
    pages: str = ""
    doi: str = ""
    pmid: str = ""
    pmcid: str = ""
    url: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked without a library."""
        if isinstance(self.year, bool) or not isinstance(self.year, int):
            raise SchemaError(f"`year` of citation {self.key!r} must be a year, got {self.year!r}.")
        if self.doi and not self.doi.startswith("10."):
            raise SchemaError(
                f"`doi` of citation {self.key!r} must start with '10.', got {self.doi!r}. "
                "Leave out the address of the resolver."
            )

    @property
    def short(self) -> str:
        """First author (else the journal) and year, as in running text: ``"De Stefano 2018"``."""
        words = self.authors.split(",")[0].split()
        is_initials = len(words) > 1 and words[-1].isupper()
        return f"{' '.join(words[:-1] if is_initials else words) or self.journal} {self.year}"

    @property
    def link(self) -> str:
        """Address of the publication; empty where none is known."""
        if self.doi:
            return _DOI_URL + self.doi
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        if self.pmcid:
            return f"https://pmc.ncbi.nlm.nih.gov/articles/{self.pmcid}/"
        return self.url

    def text(self) -> str:
        """Write the reference out.

        Returns
        -------
        str
            Authors, title, journal, year, volume, pages, identifier: what is known of them.

        Examples
        --------
        >>> Citation(
        ...     key="doe2001",
        ...     authors="Doe J, et al.",
        ...     year=2001,
        ...     journal="J Neurol",
        ...     volume="7",
        ...     pages="1-9",
        ...     doi="10.1000/x",
        ... ).text()
        'Doe J, et al. J Neurol 2001;7:1-9. doi:10.1000/x'
        """
        place = f"{self.journal} {self.year}"
        place += f";{self.volume}" if self.volume else ""
        place += f":{self.pages}" if self.pages else ""
        identifier = (
            (self.doi and f"doi:{self.doi}")
            or (self.pmid and f"PMID {self.pmid}")
            or (self.pmcid and self.pmcid)
        )
        parts = (self.authors, self.title, place, identifier)
        return ". ".join(part.rstrip(".") for part in parts if part)
