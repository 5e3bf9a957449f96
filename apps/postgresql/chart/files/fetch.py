"""fetch.py URL SERVER ENDPOINT NAME FOLDER: a piece of the log out of the store, and those after it, into a folder.

Barman's own command fetches one piece a call, and starting it takes longer than the piece does. Pieces already in the
folder are not asked for. Ends with ABSENT where the store does not have the piece that was named.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from barman.clients.cloud_cli import OperationErrorExit
from barman.clients.cloud_walrestore import CloudWalDownloader
from barman.cloud_providers.aws_s3 import S3CloudInterface
from barman.xlog import generate_segment_names, is_wal_file

AHEAD = 16
ABSENT = 44
SEGMENT_BYTES = 16 << 20
TIMEOUT_S = 60


def main(url: str, server: str, endpoint: str, name: str, folder: str) -> int:
    """The exit code; whatever else goes wrong is an exception."""
    with closing(S3CloudInterface(url, endpoint_url=endpoint, read_timeout=TIMEOUT_S)) as store:
        downloader = CloudWalDownloader(store, server)
        for each in pieces(name):
            if not fetched(downloader, each, Path(folder)):
                return ABSENT if each == name else 0
    return 0


def pieces(name: str) -> Iterator[str]:
    """The piece that was named and those that recovery will ask for next."""
    if is_wal_file(name):
        return islice(generate_segment_names(name, xlog_segment_size=SEGMENT_BYTES), AHEAD)
    return iter((name,))


def fetched(downloader: CloudWalDownloader, name: str, folder: Path) -> bool:
    """Whether a piece is in the folder now, whole."""
    part = folder / f".{name}"
    try:
        downloader.download_wal(name, str(part), True)
    except OperationErrorExit:
        return False
    part.replace(folder / name)
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
