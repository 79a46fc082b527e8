"""An open62541 server (o6): Double ns=1;s=A counts up at a rate, with source time stamps; says "time_ns value" of each.

``python open62541_server.py PORT RATE_HZ HISTORY``, in an environment that has o6; ends with its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import o6  # type: ignore[import-not-found]  # it has an environment of its own

_EPOCH = 116_444_736_000_000_000  # 1970 in units of 100 ns since 1601


def main() -> None:
    """Serve until the standard input ends."""
    port, rate_hz, history = (float(word) for word in sys.argv[1:4])
    if history:
        raise SystemExit("o6 keeps no history")
    threading.Thread(target=_end_with_input, daemon=True).start()
    server = o6.Server(port=int(port))
    with server:
        node = server.addVariable("A", server.objectsNode, 0.0, nodeId=o6.NodeId("ns=1;s=A"))
        _say("ready")
        step = round(1e9 / rate_hz)
        t_ns, k = _now_ns() // step * step, 0
        while True:
            t_ns, k = t_ns + step, k + 1
            time.sleep(max(0.0, (t_ns - _now_ns()) / 1e9))
            server.write(
                node, o6.DataValue(value=o6.Double(float(k)), sourceTimestamp=o6.DateTime(t_ns // 100 + _EPOCH))
            )
            _say(f"{t_ns} {k}")


def _now_ns() -> int:
    return time.time_ns()  # noqa: TID251  # dyncal is not there


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)


main()
