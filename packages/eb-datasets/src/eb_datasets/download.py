"""Downloads into the cache folder, each file checked against its published MD5 sum.

Needs pooch, which comes with `pip install eb-datasets[download]` and is imported when something is downloaded.
"""

from eb_core import UsageError
from eb_datasets.folders import DATA_DIR_VARIABLE, cache_folder
from eb_datasets.published import Published


def download(published: Published, source: str | None = None) -> None:
    """Put all files of a data set into the cache folder; those that are there and right stay.

    Args:
        published: the data set, with names and MD5 sums of its files.
        source: address of a mirror that holds the same files; None for where they were published.

    Raises:
        UsageError: pooch is not installed, a file cannot be fetched, or it is not the one that was published.
    """
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError(
            f"downloading {published.name} needs the package pooch: {error}",
            origin="download=true",
            advice="pip install eb-datasets[download]",
        ) from None
    for file in published.files:
        address = f"{(source or published.source).rstrip('/')}/{file.name}"
        try:
            pooch.retrieve(address, f"md5:{file.md5}", fname=file.name, path=cache_folder(published.name))
        except (OSError, ValueError) as error:  # what cannot be reached or written; what has another checksum
            raise UsageError(
                f"{file.name} of {published.name} cannot be downloaded: {error}",
                origin=address,
                advice=f"{file}; try again, name a mirror with source=URL, or put it into a folder "
                f"that --data-dir or {DATA_DIR_VARIABLE} names",
            ) from None
