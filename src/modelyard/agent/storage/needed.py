"""Which of the files that a store lists are worth bringing here. Pure."""

from modelyard.agent import choose
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage.remote import RemoteFile


def needed_files(files: tuple[RemoteFile, ...], version: int | None) -> tuple[RemoteFile, ...]:
    """Without the numbered folders that are not the model, where names alone tell that: the others may be many.

    Raises `ArtifactProblem` where the wanted version is missing.
    """
    names = {file.path.rpartition("/")[2] for file in files}
    tops = {file.path.partition("/")[0] for file in files if "/" in file.path}
    if not tops or names & {choose.OURS, choose.MLSERVER}:
        return files  # one file, perhaps an archive; or settings, which have to be read
    try:
        chosen = choose.folder(choose.Contents(folders=tuple(tops)), version)
    except LookupError as error:
        raise ArtifactProblem(error.args[0]) from error
    others = {top for top in tops if top.isascii() and top.isdecimal() and top != chosen}
    return tuple(file for file in files if file.path.partition("/")[0] not in others)
