"""``python3 compile_tree.py FOLDER NAME OPTIMIZE KEEP``: byte code for every source below a folder.

Our own interpreter runs it: byte code is of no use to another.

`NAME` stands for the folder in tracebacks. With KEEP=no the sources go, and the byte code takes their place. It is not
checked against sources when it is loaded, and says no time, so that the same sources give the same bytes.
"""

import os
import py_compile
import sys


def main(folder: str, name: str, optimize: str, keep: str) -> None:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if not file.endswith(".py"):
                continue
            source = os.path.join(place, file)  # noqa: PTH118 -- pathlib would be loaded for nothing
            py_compile.compile(
                source,
                cfile=None if keep == "yes" else source + "c",
                dfile=os.path.join(name, os.path.relpath(source, folder)),  # noqa: PTH118
                doraise=True,
                optimize=int(optimize),
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            if keep != "yes":
                os.remove(source)  # noqa: PTH107


if __name__ == "__main__":
    main(*sys.argv[1:])
