# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that ask for List again and again, in a process of their own: python3 iotd_pollers.py ADDRESS COUNT UID

They all ask at once, wait for their answers and 100 ms, and ask again. Each round is told by a line, with how
many answers there were so far.
"""

import os
import signal
import sys
import time

from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

PAUSE = 0.1
LIMIT = 120  # seconds, and no longer
MANAGER = DBusAddress("/org/iotd1", bus_name="org.iotd1", interface="org.iotd1.Manager")


def answer(connection):
    while True:
        message = connection.receive()
        if message.header.message_type == MessageType.method_return:
            return
        assert message.header.message_type == MessageType.signal, message


def main(address, count, uid):
    signal.alarm(LIMIT)
    os.setresuid(uid, uid, uid)
    clients = [open_dbus_connection(address, auth_timeout=LIMIT) for _ in range(count)]
    answers = 0
    while True:
        for client in clients:
            client.send(new_method_call(MANAGER, "List"))
        for client in clients:
            answer(client)
            answers += 1
        print(answers, flush=True)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
