"""Runs a program and prints as JSON what it took: launch.py MESSAGES PROGRAM ARGUMENT...

A small process of its own between us and the program, because on Linux a child's `ru_maxrss` begins at what
its parent held when it started it: started from here, the memory counted is that of the program.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Prints the program's exit code and cost, or why it did not start; its own output goes to MESSAGES."""
    begin = time.perf_counter()
    with open(sys.argv[1], "wb") as messages:
        try:
            process = subprocess.Popen(
                sys.argv[2:], stdin=subprocess.DEVNULL, stdout=messages, stderr=subprocess.STDOUT
            )
        except OSError as error:
            print(json.dumps({"error": error.strerror}))
            return
        _, status, usage = os.wait4(process.pid, 0)
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall_s": time.perf_counter() - begin,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "max_rss": usage.ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()
