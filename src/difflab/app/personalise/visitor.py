"""Who looks at the page: the folder of a browser's tab, by a token that the tab keeps when it is loaded anew."""

from nicegui import ui

from difflab.app.personalise.sessions import Session, find_session, new_session

_KEY = "difflab-session"  # in sessionStorage, which is a tab's own


class Visitor:
    """The visitor of one page, who has a folder once `attach` has asked the browser for the token."""

    def __init__(self) -> None:
        self._session: Session | None = None

    @property
    def attached(self) -> bool:
        return self._session is not None

    @property
    def session(self) -> Session:
        """The visitor's folder, made anew where somebody has removed it."""
        if self._session is None or find_session(self._session.token) is None:
            return self.renew()
        return self._session

    async def attach(self) -> None:
        """Find the folder of this tab again, or make one."""
        token = await ui.run_javascript(f"sessionStorage.getItem('{_KEY}')", timeout=30)
        self._keep(find_session(token) or new_session())

    def renew(self) -> Session:
        """Forget the folder and take a new one."""
        return self._keep(new_session())

    def _keep(self, session: Session) -> Session:
        self._session = session
        ui.run_javascript(f"sessionStorage.setItem('{_KEY}', '{session.token}')")
        return session
