"""Keep a file with the coefficients of an edge: python poll.py URL EDGE FILE [KEY]. Standard library only."""

import pathlib
import sys
import time
import urllib.error
import urllib.request

url, edge, file = sys.argv[1:4]
headers = {"Prefer": "wait=60"}
if len(sys.argv) > 4:
    headers["Authorization"] = f"Bearer {sys.argv[4]}"
wait_s = 1
while True:
    request = urllib.request.Request(f"{url}/v1/edges/{edge}/coefficients", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            content, tag = answer.read(), answer.headers["ETag"]
        pathlib.Path(f"{file}.new").write_bytes(content)
        pathlib.Path(f"{file}.new").replace(file)  # whoever reads it sees the old document or the new one
        headers["If-None-Match"], wait_s = tag, 1
        print(f"{file} is now {tag}", flush=True)
    except urllib.error.HTTPError as error:
        if error.code != 304:  # 304: nothing new within the time
            print(f"{error.code} {error.reason}", flush=True)
            time.sleep(wait_s := min(2 * wait_s, 60))
    except OSError as error:
        print(error, flush=True)
        time.sleep(wait_s := min(2 * wait_s, 60))
