"""The first requests of a process come from several threads at once, which all import urllib3."""

import subprocess
import sys

SLOWLY = """
import sys, threading, time

class Slow:
    # Makes the time long in which one thread is within the import when the others begin it.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "urllib3":
            time.sleep(0.01)

sys.meta_path.insert(0, Slow())

from pathlib import Path
from envforge.errors import EnvforgeError
from envforge.fetch.sizes import _ask_size
from envforge.net.pools import ConnectionPools
from envforge.net.settings import NetworkSettings

assert "urllib3" not in sys.modules
pools = ConnectionPools(NetworkSettings())

class Asked:
    url, index, index_url = "http://127.0.0.1:1/a.whl", "", ""

def send():
    try:
        pools.get(Asked.url, {})
    except OSError as error:
        failures.append(error)
    except Exception as error:
        if type(error).__module__ != "urllib3.exceptions":
            failures.append(error)

def ask():
    try:
        _ask_size(Asked, pools)
    except BaseException as error:
        failures.append(error)

failures = []
threads = [threading.Thread(target=work) for work in (send, ask) * 4]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failures)
"""


def test_threads_may_all_be_the_first_to_import_urllib3():
    finished = subprocess.run([sys.executable, "-c", SLOWLY], capture_output=True, text=True, timeout=30)
    assert (finished.stdout, finished.stderr) == ("[]\n", "")
